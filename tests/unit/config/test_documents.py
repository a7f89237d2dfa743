"""Documents: plain batches, envelopes, tombstones; each is taken whole or not at all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from retunable.config.checksum import checksum
from tests.unit.config.worlds import (
    DEFAULTS,
    DOCUMENT,
    built,
    codes,
    document,
    envelope,
    items,
    tombstone,
    variant,
    version_config,
)

OUT_OF_BOUNDS = {"name": "fast", "set": {"max_iterations": 501}}
REFUSED: list[tuple[str, Any, str, str]] = [
    ("bad JSON", "{", "not_json", "not JSON"),
    ("a list", [], "shape", "JSON object, got list"),
    ("NaN", '{"temperature": NaN}', "not_json", "NaN is not JSON"),
    ("a name twice", '{"role": "a", "role": "b"}', "not_json", "'role' stands twice"),
    ("both names", {"role": "a", "agent_role": "b"}, "shape", "role stands twice"),
    ("by case", {"role": "a", "ROLE": "b"}, "shape", "role stands twice"),
    ("nesting", "[" * 100_000, "not_json", "nested deeper"),
    ("over 1 MiB", json.dumps({"role": "x" * 1_048_576}), "too_large", "1048576"),
    ("a typing mistake", {"max_iteration": 3}, "unknown_field", "'max_iterations'"),
    ("an unknown field", {"zzz": 3}, "unknown_field", "'zzz' is not a field"),
    ("a secret", {"llm_api_key": "sk-1"}, "secret", "(4 characters)"),
    ("a secret in camel case", {"openaiApiKey": "sk-1"}, "secret", "(4 characters)"),
    ("a text for a number", {"max_iterations": "20"}, "invalid_value", "valid integer"),
    ("a bool for a number", {"max_iterations": True}, "invalid_value", "valid integer"),
    ("null where a value is needed", {"max_iterations": None}, "invalid_value", "valid integer"),
    ("one bad of two", {"role": "Expert", "max_iterations": 0}, "invalid_value", "or equal to 1"),
    ("a forbidden model", {"model": "gpt-small"}, "constraint", "not allowed with provider"),
    ("no model", {"model": None}, "constraint", "model must be set"),
    ("a newer schema", envelope(retunable=2), "newer_schema", "needs retunable ≥ 0.1.0"),
    ("a newer package", envelope(min_retunable="9.1"), "newer_schema", "needs retunable ≥ 9.1"),
    ("another agent", envelope(agent="other"), "other_agent", "'other'"),
    ("another environment", envelope(environment="staging"), "other_environment", "'staging'"),
    ("no stable", {k: v for k, v in envelope().items() if k != "stable"}, "shape", "lacks stable"),
    ("an unknown part", envelope(extra=1), "unknown_field", "'extra'"),
    ("a generation of 0", envelope(generation=0), "shape", "from 1 upwards"),
    (
        "an altered config",
        envelope(stable=variant() | {"config": version_config(role="Mallory")}),
        "checksum",
        "stable.checksum",
    ),
    (
        "an altered canary",
        envelope(canary=variant(2) | {"checksum": "1:sha256:00"}),
        "checksum",
        "canary.checksum",
    ),
    (
        "tools not explicit",
        envelope(stable=variant(tools=None)),
        "shape",
        "explicit list",
    ),
    (
        "a canary out of bounds",
        envelope(canary=variant(2, max_iterations=501)),
        "constraint",
        "500",
    ),
    ("revoked is no list", envelope(revoked="all"), "shape", "revoked"),
    ("a rollout without salt", envelope(rollout={"id": "r"}), "shape", "rollout lacks salt"),
    ("a flag of another shape", envelope(flags=[{"name": "a", "on": 1}]), "unknown_field", "'on'"),
    ("a flag out of bounds", envelope(flags=[OUT_OF_BOUNDS]), "constraint", "flag fast: max_it"),
    ("a signature of no shape", envelope(signature="x"), "shape", "key and value"),
    ("reset that is not true", tombstone(reset=1), "shape", "reset must be true"),
    ("a foreign tombstone", tombstone(agent="other"), "other_agent", "'other'"),
]


@pytest.mark.parametrize(
    ("offered", "code", "reason"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_a_faulty_document_is_refused_whole(offered: Any, code: str, reason: str) -> None:
    result = built(document(offered), after=document({"role": "Good"}))

    assert result.snapshot.config.role == "Good"
    assert codes(result) == {DOCUMENT: code}
    assert reason in result.snapshot.rejected[0].reason
    assert result.snapshot.rejected[0].kept


def test_an_incomplete_version_names_what_is_missing() -> None:
    config = version_config()
    del config["guardrails"]
    stable = {"version": 1, "checksum": checksum(config), "config": config}

    assert (
        "missing: guardrails"
        in built(document(envelope(stable=stable))).snapshot.rejected[0].reason
    )


def test_a_plain_batch_sets_its_fields_by_either_name_in_any_case() -> None:
    config = built(
        document({"Agent-Role": "Expert", "max_iterations": 7, "tools": []})
    ).snapshot.config

    assert (config.role, config.max_iterations, config.tools) == ("Expert", 7, ())


def test_null_and_an_empty_list_are_explicit_in_a_document() -> None:
    config = built(document({"role": None, "instructions": None, "tools": []})).snapshot.config

    assert (config.role, config.instructions, config.tools) == (None, (), ())


def test_field_keys_lie_above_the_document() -> None:
    snapshot = built(document({"role": "Document", "goal": "Document"}, agent_role="Key")).snapshot

    assert (snapshot.config.role, snapshot.config.goal) == ("Key", "Document")
    assert snapshot.overrides == {"role": "Key"}
    assert [snapshot.provenance[name].layer for name in ("role", "goal", "model")] == [
        "override",
        "document",
        "default",
    ]


def test_an_envelope_runs_its_stable_version() -> None:
    stable = variant(3, role="Released")
    snapshot = built(document(envelope(5, stable=stable))).snapshot

    assert (snapshot.version, snapshot.generation, snapshot.config.role) == (3, 5, "Released")
    assert snapshot.version_checksum == stable["checksum"]
    assert snapshot.document == "envelope"


def test_parts_without_effect_are_named() -> None:
    rollout = {"id": "r", "salt": "s", "stages": [1, 5], "stage": 0, "control_percent": 1}
    signature = {"key": "ed25519:x", "value": "x"}

    alone = built(document(envelope(rollout=rollout, signature=signature))).snapshot
    together = built(document(envelope(rollout=rollout, canary=variant(2)))).snapshot

    assert alone.not_honoured == ("rollout", "signature")
    assert together.not_honoured == ()


def test_a_lower_generation_never_replaces_a_higher_one() -> None:
    low, high = document(envelope(4)), document(envelope(5, stable=variant(2)))
    result = built(low, after=high)

    assert (result.snapshot.version, result.snapshot.generation) == (2, 5)
    assert codes(result) == {DOCUMENT: "older_generation"}


def test_a_reset_keeps_the_generation_mark() -> None:
    after_reset = built(document(tombstone(6)), after=document(envelope(5)))

    assert after_reset.snapshot.config == DEFAULTS
    assert after_reset.last_good.generation == 6


def test_a_tombstone_gives_the_code_defaults_without_loss() -> None:
    snapshot = built(document(tombstone()), after=document({"role": "Good"})).snapshot

    assert snapshot.config == DEFAULTS
    assert (snapshot.lost, snapshot.rejected) == ((), ())


def test_a_document_that_is_gone_is_a_loss() -> None:
    snapshot = built(items(agent_goal="Win"), after=document({"role": "Good"})).snapshot

    assert (snapshot.config.role, snapshot.config.goal) == ("Good", "Win")
    assert snapshot.lost == (DOCUMENT,)


def test_without_a_last_good_document_the_layer_below_shows_and_it_is_said() -> None:
    result = built(document("{"))

    assert result.snapshot.config == DEFAULTS
    assert not result.snapshot.rejected[0].kept


def test_the_version_checksum_is_over_the_bytes_as_stored() -> None:
    config = version_config(temperature=1.0)
    spelled = {"version": 1, "checksum": checksum(config), "config": config}
    text = json.dumps(envelope(stable=spelled), indent=3, sort_keys=True)

    assert built(document(text)).snapshot.version_checksum == checksum(config)


def test_a_bar_is_read_where_the_writer_escaped_it() -> None:
    text = json.dumps({"role": "a||b"}).replace("|", "\\u007c")

    assert built(document(text), store="redis").snapshot.config.role == "a||b"
