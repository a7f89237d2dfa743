"""A rejection: what the store offers and the agent does not run, with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RejectionCode = Literal[
    "unreadable",
    "cut",
    "too_large",
    "not_json",
    "shape",
    "unknown_field",
    "invalid_value",
    "secret",
    "constraint",
    "combination",
    "newer_schema",
    "other_agent",
    "other_environment",
    "older_generation",
    "checksum",
    "unsigned",
    "untrusted_key",
    "signature",
]


@dataclass(frozen=True, slots=True)
class Rejection:
    """One refused item: its full store key, the field that it is about, and why.

    ``kept`` tells whether the last good value goes on in its place; otherwise the layer below
    shows through.
    """

    key: str
    field: str | None
    code: RejectionCode
    reason: str
    kept: bool = False


class Refused(ValueError):
    """Raised while reading one item; ``build`` turns it into a ``Rejection``.

    ``flag`` is the flag of an envelope that it is about.
    """

    def __init__(
        self,
        code: RejectionCode,
        reason: str,
        *,
        field: str | None = None,
        flag: str | None = None,
    ) -> None:
        super().__init__(reason)
        self.code: RejectionCode = code
        self.reason = reason
        self.field = field
        self.flag = flag

    def rejection(self, key: str, *, kept: bool = False) -> Rejection:
        """Return this refusal as a rejection of the item under ``key``."""
        return Rejection(key, self.field, self.code, self.reason, kept)
