"""Whose signatures an agent takes, and what exactly is signed.

Pure: the function that verifies one signature is handed in (``live/ed25519``). A key's id is the
public key itself as text, so no two keys share one and a trusted key is one line of code.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from retunable.config.checksum import canonical
from retunable.config.rejection import Refused

Verify = Callable[[str, bytes, bytes], bool]
"""Tells whether a signature is one key's (by its id) over a message: ``(key, message, signature)``."""

KEY_ID: Final = re.compile(r"ed25519:[A-Za-z0-9_-]{43}")
"""``ed25519:`` and the 32 bytes of the public key in base64url without padding."""

UNSIGNED: Final = (
    "is not signed, and this agent takes nothing but releases signed by a key that its program "
    "trusts (accept='releases')"
)


@dataclass(frozen=True, slots=True)
class Trust:
    """The ids of the keys whose signatures an agent takes, and what verifies one."""

    keys: frozenset[str]
    verify: Verify

    def check(self, document: Mapping[str, Any]) -> None:
        """Raise Refused unless a document carries a trusted key's signature over all of it."""
        signature = document.get("signature")
        if signature is None:
            raise Refused("unsigned", f"{UNSIGNED}; publish it with a signing key")
        check_signature_shape(signature)
        key = signature["key"]
        if key not in self.keys:
            known = ", ".join(sorted(self.keys))
            raise Refused(
                "untrusted_key", f"is signed by {key!r:.70}, and the program trusts only {known}"
            )
        if not self.verify(key, signed_bytes(document), decoded(signature["value"])):
            raise Refused(
                "signature",
                f"the signature of {key!r:.70} does not fit: something was altered after it was "
                "signed, or another key signed it",
            )


def signed_bytes(document: Mapping[str, Any]) -> bytes:
    """Return what is signed: the canonical bytes of a document without its ``signature``."""
    return canonical({name: value for name, value in document.items() if name != "signature"})


def check_signature_shape(signature: object) -> None:
    """Raise Refused unless a signature is ``{"key": …, "value": …}``, both text."""
    match signature:
        case {"key": str(), "value": str(), **others} if not others:
            return
        case _:
            raise Refused("shape", "signature must be null or an object with key and value")


def encoded(data: bytes) -> str:
    """Return bytes as base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """Read ``encoded``'s form; what is no such text is no bytes, which no signature is."""
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return b""
