"""What a command says: lines for people, or one JSON object on standard output."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any, Final

from retunable.cli.exits import Stop

LONGEST_VALUE: Final = 200


@dataclass(frozen=True, slots=True)
class Output:
    """Where a command's words go; ``as_json`` silences the lines for people."""

    as_json: bool

    def line(self, text: str) -> None:
        """Say one line to a person."""
        if not self.as_json:
            print(text, flush=True)

    def note(self, text: str) -> None:
        """Say one line beside the result, which standard output keeps for itself."""
        if not self.as_json:
            print(text, file=sys.stderr, flush=True)

    def result(self, value: dict[str, Any]) -> None:
        """Give a program the whole result."""
        if self.as_json:
            print(json.dumps(value, ensure_ascii=False), flush=True)

    def error(self, stop: Stop) -> None:
        """Say why a command ended."""
        if self.as_json:
            self.result({"error": str(stop), "exit_code": int(stop.code), **stop.facts})
        else:
            print(f"retune: {stop}", file=sys.stderr, flush=True)


def shown(value: Any) -> str:
    """Return a JSON value as a person reads it: on one line and not for ever."""
    text = json.dumps(value, ensure_ascii=False)
    if len(text) <= LONGEST_VALUE:
        return text
    return f"{text[:LONGEST_VALUE]}… ({len(text)} characters)"
