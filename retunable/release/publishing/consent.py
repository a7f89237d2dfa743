"""Whether the program that runs would take what is about to be published; agents refuse it whole.

It is asked outside of any transaction, about the very document. Then that one is begun or none: where
somebody else published in between and it would be another one, the program is asked again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from retunable.release.publishing.outcomes import ProgramRefuses
from retunable.release.publishing.site import Program

_NEW_EACH_TIME: Final = frozenset({"generation", "published_at", "signature"})


class Consent:
    """What the program agreed to last; without a program all is agreed to."""

    def __init__(self, program: Program | None) -> None:
        self._program = program
        self._agreed: Mapping[str, Any] | None = None

    def covers(self, document: Mapping[str, Any]) -> bool:
        """Tell whether a document says what was agreed to, whenever and by whom it is published."""
        return self._program is None or _content(document) == self._agreed

    def ask(self, document: Mapping[str, Any]) -> ProgramRefuses | None:
        """Ask about a document; it is covered from now on unless it is refused."""
        refusal = None if self._program is None else self._program.refusal(document)
        if refusal is None:
            self._agreed = _content(document)
        return refusal


def _content(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: member for name, member in document.items() if name not in _NEW_EACH_TIME}
