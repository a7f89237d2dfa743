"""Secrets of a file and of the environment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from retunable.errors import ConfigurationError
from retunable.sidecar.secrets import EnvironmentSecrets, FileSecrets

CONTENT = {"plain": "p", "openai": {"key": "sk-1", "deep": {"x": "y"}}, "list": ["a", "b"], "n": 3}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "secrets.json"
    file.write_text(json.dumps(CONTENT))
    return file


def test_nested_names_are_joined(path: Path) -> None:
    store = FileSecrets(path)
    assert {name: secret[name] for name, secret in store.get_all().items()} == {
        "plain": "p",
        "openai:key": "sk-1",
        "openai:deep:x": "y",
        "list:0": "a",
        "list:1": "b",
        "n": "3",
    }
    assert store.get("openai") is None


def test_with_several_values_the_outermost_names_are_the_secrets(path: Path) -> None:
    store = FileSecrets(path, several_values=True)
    assert store.get("openai") == {"key": "sk-1", "deep:x": "y"}
    assert store.get("plain") == {"plain": "p"}


def test_a_changed_file_is_read_anew(path: Path) -> None:
    store = FileSecrets(path, separator="/")
    path.write_text('{"openai": {"key": "sk-2"}}')
    assert store.get("openai/key") == {"openai/key": "sk-2"}


def test_a_file_that_is_no_json_is_named_without_what_it_holds(path: Path) -> None:
    path.write_text("sk-very-secret")
    with pytest.raises(ConfigurationError, match=r"secrets\.json is no JSON") as refused:
        FileSecrets(path).get("x")
    assert "sk-very" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        FileSecrets(tmp_path / "no.json").get("x")


def test_a_prefix_selects_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KEY", "sk-1")
    store = EnvironmentSecrets("SHOP_")
    assert store.get("KEY") == {"KEY": "sk-1"}
    assert store.get_all() == {"KEY": {"KEY": "sk-1"}}


def test_the_sidecars_own_tokens_are_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAPR_API_TOKEN", "t")
    store = EnvironmentSecrets("")
    assert store.get("DAPR_API_TOKEN") == {"DAPR_API_TOKEN": ""}
    assert "DAPR_API_TOKEN" not in store.get_all()
