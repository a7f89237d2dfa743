"""The doctor's look at component files and at daprd's metadata."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from retunable.cli.doctor.finding import Finding, Severity
from retunable.cli.doctor.resource_files import DEAFENING, check_files
from retunable.cli.doctor.sidecar import SidecarFacts, check_sidecar
from retunable.cli.doctor.sqlite_store import SQLiteFacts, check_sqlite
from retunable.release.components import read_resources

CHECKOUT = Path(__file__).parents[3]


def component(name: str, type_: str, *, ignore: bool = True, **metadata: Any) -> dict[str, Any]:
    entries = [{"name": key, "value": value} for key, value in metadata.items()]
    spec = {"type": type_, "version": "v1", "metadata": entries, "ignoreErrors": ignore}
    return {"kind": "Component", "metadata": {"name": name}, "spec": spec}


def resiliency(
    timeouts: dict[str, str] | None = None, outbound: dict[str, str] | None = None
) -> dict[str, Any]:
    targets = {} if outbound is None else {"runtime-config": {"outbound": outbound}}
    spec = {"policies": {"timeouts": timeouts or {}}, "targets": {"components": targets}}
    return {"kind": "Resiliency", "metadata": {"name": "r"}, "spec": spec}


REDIS = component("runtime-config", "configuration.redis", redisHost="h:1")
STATE = component("statestore", "state.redis", actorStateStore="true")


def seen(path: Path, *documents: dict[str, Any]) -> list[Finding]:
    (path / "all.yaml").write_text(yaml.safe_dump_all(documents))
    return list(check_files(read_resources(path), "runtime-config"))


def bad(findings: list[Finding]) -> list[tuple[str, Severity]]:
    return [(f.subject, f.severity) for f in findings if f.severity is not Severity.OK]


@pytest.mark.parametrize("folder", ["resources", "resources/postgres"])
def test_the_shipped_files_have_no_fault(folder: str) -> None:
    assert bad(list(check_files(read_resources(CHECKOUT / folder), "runtime-config"))) == []


@pytest.mark.parametrize(
    ("documents", "subject", "severity"),
    [
        ([STATE], "resources", Severity.ERROR),
        ([REDIS], "state store", Severity.ERROR),
        ([REDIS, component("s", "state.redis")], "state store", Severity.ERROR),
        ([REDIS, STATE, {**STATE, "metadata": {"name": "x"}}], "state store", Severity.ERROR),
        (
            [REDIS, component("s", "state.in-memory", actorStateStore="true")],
            "state store",
            Severity.WARNING,
        ),
        (
            [component("runtime-config", "configuration.redis", ignore=False), STATE],
            "resources",
            Severity.WARNING,
        ),
        ([REDIS, STATE, resiliency({"t": "5s"}, {"timeout": "t"})], "resiliency", Severity.ERROR),
    ],
)
def test_a_planted_fault_is_found(
    tmp_path: Path, documents: list[dict[str, Any]], subject: str, severity: Severity
) -> None:
    assert bad(seen(tmp_path, *documents)) == [(subject, severity)]


@pytest.mark.parametrize("name", sorted(DEAFENING))
def test_a_timeout_that_applies_by_its_name_is_found(tmp_path: Path, name: str) -> None:
    findings = seen(tmp_path, REDIS, STATE, resiliency({name: "5s"}))
    assert bad(findings) == [("resiliency", Severity.ERROR)]
    (mend,) = (f.mend for f in findings if f.severity is Severity.ERROR)
    assert "runtime-config: {outbound: {}}" in mend


def test_an_empty_target_keeps_such_a_timeout_off(tmp_path: Path) -> None:
    policy = resiliency({"DefaultTimeoutPolicy": "5s"}, {})
    assert bad(seen(tmp_path, REDIS, STATE, policy)) == []


@pytest.mark.parametrize(
    ("metadata", "subjects"),
    [
        ({"notifyChannel": "config", "maxConns": "10"}, []),
        ({"notifyChannel": "config", "connectionString": "host=h pool_max_conns=10"}, []),
        ({"notifyChannel": "config"}, ["pool"]),
        ({"notifyChannel": "config", "maxConns": "4"}, ["pool"]),
        ({"maxConns": "10"}, ["resources"]),
    ],
)
def test_channel_and_pool_of_a_postgres_component(
    tmp_path: Path, metadata: dict[str, Any], subjects: list[str]
) -> None:
    store = component("runtime-config", "configuration.postgresql", **metadata)
    assert [subject for subject, _ in bad(seen(tmp_path, store, STATE))] == subjects


def test_a_file_that_daprd_skips_is_named(tmp_path: Path) -> None:
    (tmp_path / "half.yaml").write_text("kind: [")
    (error,) = (f for f in seen(tmp_path, REDIS, STATE) if f.severity is Severity.ERROR)
    assert "half.yaml" in error.seen


WELL: dict[str, Any] = {
    "runtimeVersion": "1.18.2",
    "enabledFeatures": ["HotReload"],
    "components": [
        {"name": "runtime-config", "type": "configuration.redis"},
        {"name": "statestore", "type": "state.redis", "capabilities": ["ACTOR"]},
    ],
    "actorRuntime": {"runtimeStatus": "RUNNING", "placement": "placement: connected"},
    "scheduler": {"connected_addresses": ["127.0.0.1:50006"]},
}


@pytest.mark.parametrize(
    ("change", "subject", "severity"),
    [
        ({"actorRuntime": {"placement": "placement: disconnected"}}, "placement", Severity.ERROR),
        ({"actorRuntime": {"runtimeStatus": "DISABLED"}}, "placement", Severity.ERROR),
        ({"scheduler": {}}, "scheduler", Severity.ERROR),
        ({"scheduler": {"connected_addresses": []}}, "scheduler", Severity.ERROR),
        ({"components": WELL["components"][1:]}, "component", Severity.ERROR),
        ({"components": WELL["components"][:1]}, "state store", Severity.ERROR),
        ({"enabledFeatures": []}, "hot reload", Severity.WARNING),
    ],
)
def test_each_part_that_daprd_lacks_is_found(
    change: dict[str, Any], subject: str, severity: Severity
) -> None:
    facts = SidecarFacts("http://127.0.0.1:3500", {**WELL, **change})
    assert bad(list(check_sidecar(facts, "runtime-config"))) == [(subject, severity)]


def test_a_sidecar_that_is_well_has_no_fault() -> None:
    facts = SidecarFacts("http://127.0.0.1:3500", WELL)
    assert bad(list(check_sidecar(facts, "runtime-config"))) == []


def test_a_sidecar_that_nobody_names_is_not_called_broken() -> None:
    assert bad(list(check_sidecar(SidecarFacts(None, None), "x"))) == [
        ("sidecar", Severity.WARNING)
    ]


EMBEDDED = {
    "runtimeVersion": "retunable-embedded-0.1.0",
    "components": [
        {"name": "runtime-config", "type": "configuration.sqlite"},
        {"name": "statestore", "type": "state.sqlite", "capabilities": ["ACTOR"]},
    ],
}


def test_an_embedded_sidecar_is_called_so_and_asked_for_no_control_plane() -> None:
    facts = SidecarFacts("http://127.0.0.1:3500", EMBEDDED)
    findings = list(check_sidecar(facts, "runtime-config"))
    assert bad(findings) == []
    assert "for one machine" in findings[0].seen
    assert {"placement", "scheduler"} & {finding.subject for finding in findings} == set()


SOUND = SQLiteFacts(path=Path("/data/configuration.db"), mode=0o600, check="ok")


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (SOUND, []),
        (replace(SOUND, mode=0o644), [("store", Severity.WARNING)]),
        (replace(SOUND, check="file is not a database"), [("store", Severity.ERROR)]),
        (replace(SOUND, secret_key="llm_api_key"), [("secrets", Severity.ERROR)]),
    ],
)
def test_an_embedded_sidecars_file_is_looked_at(
    facts: SQLiteFacts, expected: list[tuple[str, Severity]]
) -> None:
    assert bad(list(check_sqlite(facts))) == expected
