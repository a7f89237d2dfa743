"""What component files mean to the embedded sidecar."""

from __future__ import annotations

from pathlib import Path

import pytest

from retunable.errors import ConfigurationError
from retunable.sidecar.facts import components
from retunable.sidecar.resources import Resources, read_resources

CHECKOUT = Path(__file__).parents[3]


def component(name: str, kind: str, *, metadata: str = "[]", scopes: str = "[]") -> str:
    return (
        f"apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {{name: {name}}}\n"
        f"spec: {{type: {kind}, version: v1, metadata: {metadata}}}\nscopes: {scopes}\n"
    )


def read(folder: Path, *documents: str) -> Resources:
    (folder / "all.yaml").write_text("---\n".join(documents))
    return read_resources(folder, app_id="shop")


def test_without_files_the_usual_names_are_served() -> None:
    assert [(c.name, c.type) for c in components(Resources())] == [
        ("runtime-config", "configuration.sqlite"),
        ("statestore", "state.sqlite"),
        ("pubsub", "pubsub.sqlite"),
    ]


@pytest.mark.parametrize("folder", ["resources", "resources/postgres"])
def test_the_files_that_we_ship_are_stood_in_for_under_their_names(folder: str) -> None:
    resources = read_resources(CHECKOUT / folder, app_id="shop")
    assert resources.configuration == ("runtime-config",)
    assert (resources.state, resources.actor_store) == (("statestore",), "statestore")
    assert {part.name for part in resources.stood_in} >= {"runtime-config", "statestore"}


def test_a_component_of_any_type_is_stood_in_for_beside_the_usual_name(tmp_path: Path) -> None:
    found = read(tmp_path, component("settings", "configuration.azure.appconfig"))
    assert found.configuration == ("settings", "runtime-config")
    assert [str(part) for part in found.stood_in] == ["settings (configuration.azure.appconfig)"]


def test_workflows_are_kept_where_the_files_say(tmp_path: Path) -> None:
    actors = "[{name: actorStateStore, value: true}]"
    found = read(
        tmp_path, component("a", "state.redis"), component("b", "state.redis", metadata=actors)
    )
    able = [c.name for c in components(found) if "ACTOR" in c.capabilities]
    assert able == ["b"]


def test_what_only_dapr_serves_is_named(tmp_path: Path) -> None:
    found = read(tmp_path, component("mail", "bindings.smtp"), "kind: Resiliency\n")
    (tmp_path / "broken.yml").write_text("a: [")
    found = read_resources(tmp_path, app_id="shop")
    assert [str(part) for part in found.left_out] == [
        "mail (bindings.smtp)",
        "all.yaml (Resiliency)",
        "broken.yml (cannot be read)",
    ]


@pytest.mark.parametrize("part", [{"metadata": "5"}, {"scopes": "5"}, {"scopes": "shop"}])
def test_a_component_of_another_form_is_named(tmp_path: Path, part: dict[str, str]) -> None:
    found = read(tmp_path, component("a", "state.redis", **part))
    assert [str(left) for left in found.left_out] == ["all.yaml (cannot be read)"]


def test_a_component_for_other_apps_is_not_loaded(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        component("theirs", "state.redis", scopes="[desk]"),
        component("ours", "state.redis", scopes="[shop, desk]"),
    )
    assert found.state == ("ours", "statestore")


def test_secret_stores_are_served(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text('{"a": {"b": "c"}}')
    file = f"[{{name: secretsFile, value: {tmp_path / 's.json'}}}, {{name: nestedSeparator, value: /}}]"
    found = read(
        tmp_path,
        component("secrets", "secretstores.local.file", metadata=file),
        component("env", "secretstores.local.env"),
    )
    assert found.secrets["secrets"].get("a/b") == {"a/b": "c"}
    assert [c.type for c in components(found)][-2:] == [
        "secretstores.local.file",
        "secretstores.local.env",
    ]


@pytest.mark.parametrize("metadata", ["[]", "[{name: secretsFile, value: null}]"])
def test_a_secret_store_without_a_file_is_refused(tmp_path: Path, metadata: str) -> None:
    with pytest.raises(ConfigurationError, match="'secrets' names no secretsFile"):
        read(tmp_path, component("secrets", "secretstores.local.file", metadata=metadata))


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no folder"):
        read_resources(tmp_path / "no", app_id="shop")
