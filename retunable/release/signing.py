"""Signs documents with Ed25519: the only module of the control plane that knows ``cryptography``.

A key is PKCS#8 PEM, as ``openssl genpkey -algorithm ed25519`` and key services write it. Where it
is kept is decided by others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retunable.config.rejection import Refused
from retunable.config.trust import KEY_ID, Trust, encoded, signed_bytes
from retunable.errors import ConfigurationError
from retunable.live.ed25519 import verify

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One private key; ``id`` is its public key as programs name it in ``trust=``."""

    id: str
    _private: Ed25519PrivateKey

    @classmethod
    def from_pem(cls, text: str) -> SigningKey:
        """Read a key from its PEM text.

        Raises:
            ConfigurationError: it is no Ed25519 key without a passphrase.
        """
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            private = load_pem_private_key(text.encode(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            # Nothing of the text or the library's words about it: it is a secret.
            raise ConfigurationError(_NO_KEY) from None
        if not isinstance(private, Ed25519PrivateKey):
            raise ConfigurationError(_NO_KEY)
        return cls(f"ed25519:{encoded(private.public_key().public_bytes_raw())}", private)

    def signed(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Return a document with this key's signature over all the rest of it.

        Equal documents get equal signatures: Ed25519 uses no randomness.
        """
        value = encoded(self._private.sign(signed_bytes(document)))
        return {**document, "signature": {"key": self.id, "value": value}}


def fits(document: Mapping[str, Any]) -> bool:
    """Tell whether a document's signature is that of the key that it names, trusted or not."""
    signature = document.get("signature")
    key = signature.get("key") if isinstance(signature, dict) else None
    if not isinstance(key, str) or not KEY_ID.fullmatch(key):
        return False
    try:
        Trust(frozenset({key}), verify).check(document)
    except Refused:
        return False
    return True


_NO_KEY = (
    "the signing key is no Ed25519 private key in PEM without a passphrase; make one: "
    "openssl genpkey -algorithm ed25519 -out release.pem"
)
