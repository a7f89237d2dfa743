"""Verifies Ed25519 signatures: the only module of the data plane that knows ``cryptography``.

Imported when a program names trusted keys, and not before: it costs 20 ms.
"""

from __future__ import annotations

from collections.abc import Sequence

from retunable.config.trust import Trust, decoded
from retunable.errors import ConfigurationError


def trust_in(keys: Sequence[str]) -> Trust | None:
    """Return the trust in some public keys by their ids; None for none.

    Raises:
        ConfigurationError: the package that verifies is not installed, or ``keys`` is one string.
    """
    if isinstance(keys, str):
        raise ConfigurationError("trust= takes a list of keys, like trust=['ed25519:…']")
    if not keys:
        return None
    try:
        import cryptography  # noqa: F401 - found at construction, not at the first release
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            'signed releases need the package cryptography: pip install "retunable[signed]"'
        ) from error
    return Trust(frozenset(keys), verify)


def verify(key: str, message: bytes, signature: bytes) -> bool:
    """Tell whether a signature is this key's (by its id) over a message."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    public = Ed25519PublicKey.from_public_bytes(decoded(key.removeprefix("ed25519:")))
    try:
        public.verify(signature, message)
    except InvalidSignature:
        return False
    return True
