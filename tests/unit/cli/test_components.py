"""Component files as store URLs, with their secrets resolved or refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from retunable.errors import ConfigurationError
from retunable.release.component_url import pool_size, postgres_url
from retunable.release.components import read_resources, store_url
from retunable.release.store_url import StoreURL
from retunable.sidecar.environment import store_url as sqlite_url


def folder(path: Path, *documents: dict[str, Any]) -> Path:
    (path / "all.yaml").write_text(yaml.safe_dump_all(documents))
    return path


def component(
    type_: str, name: str = "runtime-config", auth: str = "", **metadata: Any
) -> dict[str, Any]:
    entries = [
        {"name": key, **value} if isinstance(value, dict) else {"name": key, "value": value}
        for key, value in metadata.items()
    ]
    return {
        "kind": "Component",
        "metadata": {"name": name},
        "spec": {"type": type_, "version": "v1", "metadata": entries},
        **({"auth": {"secretStore": auth}} if auth else {}),
    }


def url_in(path: Path) -> StoreURL:
    return store_url(read_resources(path))


@pytest.mark.parametrize(
    ("metadata", "text"),
    [
        ({}, "redis://localhost:6379/0"),
        ({"redisHost": "h:1", "redisDB": "3"}, "redis://h:1/3"),
        ({"redisHost": "h:1", "enableTLS": True}, "rediss://h:1/0"),
        ({"redisHost": "h:1", "redisPassword": "p/w"}, "redis://:p%2Fw@h:1/0"),
        ({"redisHost": "h:1", "redisUsername": "u", "redisPassword": "p"}, "redis://u:p@h:1/0"),
    ],
)
def test_a_redis_component_is_a_url(tmp_path: Path, metadata: Any, text: str) -> None:
    assert url_in(folder(tmp_path, component("configuration.redis", **metadata))).text == text


@pytest.mark.parametrize("metadata", [{"redisType": "cluster"}, {"failover": "true"}])
def test_a_redis_that_cannot_be_written_to_is_refused_by_name(
    tmp_path: Path, metadata: Any
) -> None:
    path = folder(tmp_path, component("configuration.redis", **metadata))
    with pytest.raises(ConfigurationError, match="runtime-config"):
        url_in(path)


@pytest.mark.parametrize(
    ("connection", "values"),
    [
        (
            "host=h user=u password='p w' port=5433 dbname=d pool_max_conns=10 sslmode=require",
            {"host": "h", "user": "u", "password": "p w", "port": "5433", "dbname": "d"},
        ),
        ("host=h user=u database=d", {"host": "h", "user": "u", "dbname": "d"}),
        ("host=/run/postgres user=u", {"host": "/run/postgres", "user": "u"}),
        (
            "postgres://u:p%40w@h:5433/d?pool_max_conns=10&application_name=a%20b",
            {"user": "u", "password": "p@w", "host": "h", "application_name": "a b"},
        ),
    ],
)
def test_a_connection_string_becomes_a_url_that_libpq_reads(
    connection: str, values: dict[str, str]
) -> None:
    url = StoreURL.parse(postgres_url({"connectionString": connection}.get))
    read = psycopg.conninfo.conninfo_to_dict(url.text)
    assert {name: read.get(name) for name in values} == values


def test_the_table_travels_in_the_url_but_not_to_libpq(tmp_path: Path) -> None:
    made = component("configuration.postgresql", connectionString="host=h", table="conf.live")
    url = url_in(folder(tmp_path, made))
    assert (url.table, url.text) == ("conf.live", "postgresql://h/")


def test_the_pool_of_a_connection_string_is_seen() -> None:
    assert pool_size("host=h pool_max_conns=10") == 10
    assert pool_size("postgres://h/d?pool_max_conns=7") == 7
    assert pool_size("host=h") is None


@pytest.mark.parametrize(
    "text",
    [
        "redis://u:hunter2@h:1/0",
        "redis://:hunter2@h:1",
        "postgresql://u:hunter2@h/d",
        "postgresql://h/d?password=hunter2&user=u",
    ],
)
def test_a_url_is_shown_without_its_password(text: str) -> None:
    assert "hunter2" not in StoreURL.parse(text).shown


def secret(name: str) -> dict[str, Any]:
    return {"secretKeyRef": {"name": name, "key": name}}


def test_a_secret_of_a_local_file_is_resolved(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text(json.dumps({"redis": {"password": "pw"}}))
    store = component("secretstores.local.file", "secrets", secretsFile="secrets.json")
    made = component("configuration.redis", auth="secrets", redisPassword=secret("redis:password"))
    assert url_in(folder(tmp_path, made, store)).text == "redis://:pw@localhost:6379/0"


def test_a_secret_of_the_environment_is_resolved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_PASSWORD", "pw")
    store = component("secretstores.local.env", "secrets")
    made = component("configuration.redis", auth="secrets", redisPassword=secret("REDIS_PASSWORD"))
    assert url_in(folder(tmp_path, store, made)).text == "redis://:pw@localhost:6379/0"


@pytest.mark.parametrize(
    "store",
    [
        component("secretstores.azure.keyvault", "secrets"),
        component("secretstores.local.env", "secrets"),
        component("secretstores.local.file", "secrets", secretsFile="not-there.json"),
        component("secretstores.local.env", "another"),
    ],
)
def test_a_secret_that_cannot_be_resolved_is_refused_by_name(
    tmp_path: Path, store: dict[str, Any]
) -> None:
    made = component("configuration.redis", auth="secrets", redisPassword=secret("NOT_SET_HERE"))
    with pytest.raises(ConfigurationError, match=r"redisPassword.*--store"):
        url_in(folder(tmp_path, store, made))


def test_a_missing_component_is_told_with_those_that_are_there(tmp_path: Path) -> None:
    path = folder(tmp_path, component("configuration.redis", "other"))
    with pytest.raises(ConfigurationError, match="there: other"):
        url_in(path)


def test_a_broken_file_hides_nothing_of_the_others(tmp_path: Path) -> None:
    (tmp_path / "broken.yml").write_text("a: [")
    resources = read_resources(folder(tmp_path, component("configuration.redis")))
    assert list(resources.broken) == ["broken.yml"]
    assert store_url(resources).kind == "redis"


@pytest.mark.parametrize("text", ["", "localhost:6379", "sqlite", "http://h"])
def test_other_urls_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigurationError, match="redis://localhost:6379"):
        StoreURL.parse(text)


@pytest.mark.parametrize("text", ["sqlite://host/x.db", "sqlite://", "sqlite:///x.db?table=y"])
def test_a_sqlite_url_that_names_no_file_is_told_the_form(text: str) -> None:
    with pytest.raises(ConfigurationError, match="three slashes"):
        StoreURL.parse(text)


def test_a_sqlite_url_names_a_file_whatever_its_name() -> None:
    folder = Path("/home/me & you/100% #1?")
    url = StoreURL.parse(sqlite_url(folder), component="their-config")
    assert (url.kind, url.component) == ("sqlite", "their-config")
    assert url.path == folder / "configuration.db"
    assert url.shown == url.text
