"""Signed releases: what an agent that asks for them takes, and what it names in refusing."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from retunable.config.build import Built, build
from retunable.config.declaration import declare
from retunable.config.items import Items
from retunable.config.last_good import LastGood
from retunable.config.trust import decoded, signed_bytes
from retunable.errors import ConfigurationError
from retunable.live.ed25519 import trust_in
from retunable.release.signing import SigningKey
from tests.unit.config.signers import CAREFUL, OURS, THEIRS, new_pem
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

GOOD = document(OURS.signed(envelope(4, stable=variant(2, role="Released"))))


def carefully(offered: Items, *, after: Items = GOOD) -> Built:
    """Build for an agent with accept='releases' that has run on ``after``."""
    return build(CAREFUL, offered, last_good=build(CAREFUL, after).last_good)


def test_a_release_signed_by_a_trusted_key_runs_and_its_signature_is_honoured() -> None:
    snapshot = build(CAREFUL, GOOD).snapshot

    assert (snapshot.config.role, snapshot.version) == ("Released", 2)
    assert (snapshot.rejected, snapshot.not_honoured) == ((), ())


def test_a_signature_is_named_as_not_honoured_where_nobody_asks_for_it() -> None:
    assert built(GOOD).snapshot.not_honoured == ("signature",)


SIGNED = OURS.signed(envelope(5, stable=variant(3, role="Next")))
REFUSED: list[tuple[str, Any, str, str]] = [
    ("no signature", envelope(5), "unsigned", "signing key"),
    ("a plain batch", {"role": "Mallory"}, "unsigned", "accept='releases'"),
    ("an unsigned tombstone", tombstone(5), "unsigned", "not signed"),
    ("another key", THEIRS.signed(envelope(5)), "untrusted_key", THEIRS.id),
    ("the generation altered", SIGNED | {"generation": 9}, "signature", "altered"),
    ("the time altered", SIGNED | {"published_at": "2027"}, "signature", "altered"),
    ("a revocation added", SIGNED | {"revoked": ["1:sha256:00"]}, "signature", "altered"),
    ("the agent altered", SIGNED | {"agent": "other"}, "other_agent", "other"),
    (
        "the environment altered",
        SIGNED | {"environment": "staging"},
        "other_environment",
        "staging",
    ),
    (
        "the config altered",
        SIGNED | {"stable": variant(3) | {"config": version_config(role="Mallory")}},
        "signature",
        "altered",
    ),
    (
        "another key's name on it",
        THEIRS.signed(envelope(5))
        | {"signature": THEIRS.signed(envelope(5))["signature"] | {"key": OURS.id}},
        "signature",
        "another key",
    ),
    ("a signature of no shape", SIGNED | {"signature": "sig"}, "shape", "key and value"),
    (
        "a signature that is no base64",
        SIGNED | {"signature": {"key": OURS.id, "value": "é"}},
        "signature",
        "altered",
    ),
]


@pytest.mark.parametrize(
    ("offered", "code", "says"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_what_is_not_signed_or_was_altered_is_refused_by_name(
    offered: Any, code: str, says: str
) -> None:
    result = carefully(document(offered))

    assert result.snapshot.config.role == "Released"
    assert codes(result) == {DOCUMENT: code}
    assert says in result.snapshot.rejected[0].reason


def test_a_field_key_is_refused_by_name_with_the_signed_way() -> None:
    result = carefully({**GOOD, **items(agent_role="Mallory", max_iterations="1")})

    assert result.snapshot.config.role == "Released"
    assert codes(result) == {"agent_role": "unsigned", "max_iterations": "unsigned"}
    assert "retune override role" in result.snapshot.rejected[0].reason


def test_what_was_remembered_unsigned_is_not_used_once_the_program_asks_for_signatures() -> None:
    careless = built(document({"role": "Batch"}, agent_goal="Key")).last_good
    snapshot = build(CAREFUL, {}, last_good=careless).snapshot

    assert snapshot.config == DEFAULTS
    assert [rejection.code for rejection in snapshot.rejected] == ["unsigned"]


def test_last_good_items_are_verified_again() -> None:
    forged = LastGood(document(SIGNED | {"generation": 9}), 9)

    assert build(CAREFUL, {}, last_good=forged).snapshot.config == DEFAULTS


def test_a_signed_reset_is_taken() -> None:
    result = carefully(document(OURS.signed(tombstone(5))))

    assert result.snapshot.config == DEFAULTS
    assert result.snapshot.rejected == ()


def test_equal_documents_get_equal_signatures() -> None:
    assert OURS.signed(envelope(5)) == OURS.signed(envelope(5))


def test_openssl_verifies_what_we_sign(tmp_path: Path) -> None:
    pem = new_pem()
    signed = SigningKey.from_pem(pem).signed(envelope(5))
    (tmp_path / "key.pem").write_text(pem)
    (tmp_path / "message").write_bytes(signed_bytes(signed))
    (tmp_path / "signature").write_bytes(decoded(signed["signature"]["value"]))
    command = "openssl pkeyutl -verify -inkey key.pem -rawin -in message -sigfile signature"

    done = subprocess.run(command.split(), cwd=tmp_path, capture_output=True, text=True, timeout=20)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"accept": "releases"}, "trust="),
        ({"trust": trust_in([OURS.id])}, "accept='releases'"),
        ({"accept": "releases", "trust": trust_in(["release.pem"])}, "no public key"),
    ],
)
def test_accept_and_trust_go_together(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        declare("a", defaults=DEFAULTS, **arguments)


@pytest.mark.parametrize("text", ["", "hunter2", "-----BEGIN PRIVATE KEY-----\nhunter2\n"])
def test_what_is_no_signing_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ConfigurationError, match="openssl genpkey") as caught:
        SigningKey.from_pem(text)
    assert "hunter2" not in str(caught.value)
