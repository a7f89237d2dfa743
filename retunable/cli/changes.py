"""What a person wants written, checked before it is: one field, or a document.

Knows what each store can hold. Whether the program behind the agent allows it too, only the
running agent can tell, after the write.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from retunable.cli.exits import ExitCode, Stop
from retunable.cli.target import Target
from retunable.config.agent_config import AgentConfig, InvalidField, check_field
from retunable.config.constraints import Constraints
from retunable.config.declaration import Declaration
from retunable.config.document import MAX_DOCUMENT_BYTES, PlainBatch, parse_document
from retunable.config.envelope import Envelope
from retunable.config.fields import (
    Field,
    FieldTextError,
    find_field,
    is_secret_name,
    nearest_field,
    parse_field_text,
)
from retunable.config.fieldset import checked_fields, secret_reason
from retunable.config.items import StoreKind
from retunable.config.jsontext import JsonTextError, parse_json
from retunable.config.rejection import Refused
from retunable.release.documents import json_text


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field key: its field, the text to write, and the value as ``/agent/config`` shows it."""

    field: Field
    text: str
    value: Any


@dataclass(frozen=True, slots=True)
class DocumentChange:
    """A whole document: the text to write and the values by field name that it asks for."""

    plain: bool
    text: str
    values: Mapping[str, Any]


def field_named(key: str, *, prefix: str = "", value: str = "") -> Field:
    """Return the field that a person means, by name or store key, with or without the prefix."""
    name = key.removeprefix(prefix)
    field = find_field(name)
    if field is not None:
        return field
    if is_secret_name(name):
        raise Stop(secret_reason(key, len(value)), ExitCode.USAGE)
    nearest = nearest_field(name)
    hint = f"; did you mean {nearest!r}?" if nearest else "; `retune get` lists them"
    raise Stop(f"{key!r} is no field{hint}", ExitCode.USAGE)


def field_change(key: str, text: str, *, prefix: str, store: StoreKind) -> FieldChange:
    """Check one field's new text and return what to write; end the command if it is invalid."""
    field = field_named(key, prefix=prefix, value=text)
    if not text:
        raise Stop(
            f"an empty value counts as absent in the store; use: retune unset {key}",
            ExitCode.USAGE,
        )
    try:
        parsed = parse_field_text(field, text)
        value = check_field(field.name, parsed)
    except FieldTextError as error:
        raise Stop(f"{field.name} {error}", ExitCode.USAGE) from error
    except InvalidField as error:
        raise Stop(str(error), ExitCode.USAGE) from error
    return FieldChange(field, storable_text(field, text, parsed, store), json_value(field, value))


def storable_text(field: Field, text: str, parsed: object, store: StoreKind) -> str:
    """Return a text that the store gives back whole: Dapr cuts Redis values at ``||``."""
    if store != "redis" or "||" not in text:
        return text
    if field.kind == "text":
        raise Stop(
            f"on Redis Dapr cuts a value at '||', and {field.name} has no other form; write it in "
            f"a document, which can hold it: echo '{{\"{field.name}\": …}}' | retune set --file -",
            ExitCode.USAGE,
        )
    return json_text(parsed)


def document_change(text: str, target: Target) -> DocumentChange:
    """Check a document's text and return what to write; end the command if it is invalid."""
    try:
        value = parse_json(text)
    except JsonTextError as error:
        raise Stop(f"the file is no JSON object: {error}", ExitCode.USAGE) from error
    if not isinstance(value, dict):
        raise Stop("the file must hold a JSON object of fields", ExitCode.USAGE)
    stored = json_text(value)
    try:
        if "retunable" in value:
            document = parse_document(stored, _declaration(target))
            config = document.stable.config if isinstance(document, Envelope) else AgentConfig()
            return DocumentChange(False, stored, config.to_json())
        batch = PlainBatch(checked_fields(value))
    except Refused as refusal:
        raise Stop(f"the file is refused: {refusal}", ExitCode.USAGE) from refusal
    if len(stored.encode()) > MAX_DOCUMENT_BYTES:
        raise Stop(f"a document has at most {MAX_DOCUMENT_BYTES} bytes", ExitCode.USAGE)
    if not batch.values:
        raise Stop("the file sets no field", ExitCode.USAGE)
    complete = AgentConfig().with_values(batch.values).to_json()
    return DocumentChange(True, stored, {name: complete[name] for name in batch.values})


def json_value(field: Field, value: Any) -> Any:
    """Return a checked value of one field as a JSON value."""
    return AgentConfig().with_values({field.name: value}).to_json()[field.name]


def _declaration(target: Target) -> Declaration:
    return Declaration(
        agent=target.agent or "",
        environment=target.environment,
        defaults=AgentConfig(),
        constraints=Constraints(),
        document_key=target.document_key or "",
        prefix=target.prefix,
    )
