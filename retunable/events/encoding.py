"""Events as JSON, for the topic and for the disk.

A newer sender may add fields and kinds: unknown fields are ignored, and an unknown kind is an
expected outcome, so that an older control plane goes on with what it knows.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json as json_bytes

from retunable.errors import EventError
from retunable.events.event import Event, Exposure, Feedback, Heartbeat, ObservedChange, Outcome

FORM: Final = 1

_KINDS: Final[dict[str, type[Event]]] = {
    kind.kind: kind for kind in (Heartbeat, ObservedChange, Exposure, Outcome, Feedback)
}


_FIELDS: Final = {
    kind: tuple(field.name for field in fields(made)) for kind, made in _KINDS.items()
}


@dataclass(frozen=True, slots=True)
class Encoded:
    """An event as it goes to the broker."""

    event_id: str
    kind: str
    data: bytes


def to_json(event: Event) -> dict[str, Any]:
    """Return an event's JSON-ready form, which ``from_json`` reads back."""
    # Not asdict, whose copies take four times as long: no value of an event can be changed.
    said = {name: getattr(event, name) for name in _FIELDS[event.kind]}
    return {"retunable_event": FORM, "kind": event.kind, **said}


def encoded(event: Event) -> Encoded:
    """Return an event as it goes to the broker, and to disk before that."""
    return Encoded(event.event_id, event.kind, json_bytes(to_json(event)))


def from_json(data: object) -> Event | None:
    """Read what ``to_json`` made; None for a kind that this package does not know.

    Raises:
        EventError: it is no event, of a later form, or one of its fields is wrong.
    """
    match data:
        case {"retunable_event": int(form), "kind": str(kind), **said}:
            pass
        case _:
            raise EventError("it is no event: retunable_event and kind are missing", field="kind")
    if form != FORM:
        raise EventError(
            f"its form is {form}, this package reads {FORM}; upgrade retunable",
            field="retunable_event",
        )
    if kind not in _KINDS:
        return None
    try:
        # From bytes: strict types and a JSON list as a tuple go together only there.
        return _reader_of(kind).validate_json(json_bytes(said), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise EventError(f"{kind}.{field}: {first['msg']}", field=field) from None


@cache
def _reader_of(kind: str) -> TypeAdapter[Event]:
    # Made when first asked for: it takes 10 ms a kind, which an agent that only sends never pays.
    return TypeAdapter(_KINDS[kind])
