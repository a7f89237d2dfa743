"""Documents: one item that sets many fields at once.

Tells a hand-written plain batch from what a control plane writes (``envelope``). All or
nothing: the first fault refuses the document.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from retunable.config.declaration import Declaration
from retunable.config.envelope import Envelope, Tombstone, parse_marked
from retunable.config.fieldset import check_constraints, checked_fields
from retunable.config.jsontext import JsonTextError, parse_json
from retunable.config.rejection import Refused
from retunable.config.trust import UNSIGNED

MAX_DOCUMENT_BYTES: Final = 1_048_576
"""A document's text as encoded in UTF-8."""

DocumentKind = Literal["none", "plain", "envelope", "tombstone"]


@dataclass(frozen=True, slots=True)
class PlainBatch:
    """A hand-written document: some fields, checked, by field name."""

    values: Mapping[str, Any]


Document = PlainBatch | Envelope | Tombstone


def parse_document(text: str, declaration: Declaration) -> Document:
    """Read a document's text and check it whole against what the program declared.

    Raises:
        Refused: anything about it is wrong; nothing of it may be used.
    """
    if len(text) > MAX_DOCUMENT_BYTES or len(text.encode(errors="replace")) > MAX_DOCUMENT_BYTES:
        raise Refused("too_large", f"must be at most {MAX_DOCUMENT_BYTES} bytes as encoded")
    try:
        value = parse_json(text)
    except JsonTextError as error:
        raise Refused("not_json", f"must be a JSON object: {error}") from error
    if not isinstance(value, dict):
        raise Refused("shape", f"must be a JSON object, got {type(value).__name__}")
    return read_document(value, declaration)


def read_document(value: Mapping[str, Any], declaration: Declaration) -> Document:
    """Check a document's object whole against what the program declared. Raises as above."""
    if "retunable" in value:
        return parse_marked(value, declaration)
    if declaration.trust is not None:
        raise Refused("unsigned", UNSIGNED)
    return _plain_batch(value, declaration)


def _plain_batch(value: Mapping[str, Any], declaration: Declaration) -> PlainBatch:
    batch = PlainBatch(checked_fields(value))
    check_constraints(declaration.defaults.with_values(batch.values), declaration.constraints)
    return batch
