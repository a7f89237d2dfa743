"""Checksums say whether two configs are the same; a diff says where they are not."""

from __future__ import annotations

from retunable.config.checksum import canonical, checksum
from retunable.config.diff import Change, diff
from retunable.config.resolve import resolve
from tests.unit.config.worlds import DEFAULTS, built, document, envelope, items, variant


def test_a_checksum_names_its_schema_and_algorithm() -> None:
    # SHA-256 of the two bytes {} is published in many places.
    assert checksum({}) == (
        "1:sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    )


def test_canonical_bytes_follow_rfc_8785() -> None:
    assert (
        canonical({"b": 1.0, "a": "é\u2028", "c": 1e21})
        == '{"a":"é\u2028","b":1,"c":1e+21}'.encode()
    )


def test_the_effective_checksum_tells_configs_apart_and_knows_equal_ones() -> None:
    by_key = built(items(agent_role="Expert")).snapshot
    by_document = built(document({"role": "Expert"})).snapshot

    assert by_key.checksum == by_document.checksum
    assert by_key.checksum != built({}).snapshot.checksum


def test_a_diff_names_fields_in_order_with_both_values() -> None:
    new = built(items(max_iterations="3", agent_role="Expert", tools='["search"]')).snapshot.config

    assert diff(DEFAULTS, new) == (
        Change("role", "agent_role", "Research Assistant", "Expert"),
        Change("max_iterations", "max_iterations", 10, 3),
        Change("tools", "tools", None, ["search"]),
    )
    assert diff(new, new) == ()


def test_resolve_names_the_version_and_the_overrides_above_it() -> None:
    stable = variant(3)
    snapshot = built(document(envelope(2, stable=stable), agent_role="Key")).snapshot
    effective = resolve(snapshot, user_id="u1", now=0).effective

    assert (effective.version, effective.generation, effective.variant) == (3, 2, "stable")
    assert effective.version_checksum == stable["checksum"]
    assert effective.override_keys == ("role",)
    assert effective.checksum == checksum(effective.config.to_json())
