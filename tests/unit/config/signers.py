"""Signing keys that the tests make for themselves, and an agent that trusts one of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from retunable.live.ed25519 import trust_in
from retunable.release.signing import SigningKey
from tests.unit.config.worlds import AGENT


def new_pem() -> str:
    """A new private key, as ``openssl genpkey -algorithm ed25519`` writes one."""
    private = Ed25519PrivateKey.generate()
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


OURS: Final = SigningKey.from_pem(new_pem())
THEIRS: Final = SigningKey.from_pem(new_pem())
CAREFUL: Final = replace(AGENT, trust=trust_in([OURS.id]))
