"""Takes what replicas saw change in the store into the audit, but for what our own commands did.

A command's own entry says what it wrote: a release is known by its generation and content, a field
key by key and value near the time. Where nothing explains a change, somebody else made it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from retunable.config.jsontext import JsonTextError, parse_json
from retunable.events.event import ObservedChange
from retunable.events.shown_value import envelope_shown, shown_value
from retunable.release.publishing.envelopes import document_of
from retunable.release.publishing.settling import configs_of
from retunable.release.store import audit, deployments, observations
from retunable.release.store.database import Transaction
from retunable.release.store.own_writes import CLOCKS_APART
from retunable.release.store.records import Deployment, Entry

NEWEST: Final = 20
"""How many generations a release is looked for among, where its own cannot be read."""


def take(work: Transaction, events: Sequence[ObservedChange]) -> None:
    """Write down what somebody else changed."""
    for event in events:
        if observations.is_reported(work, event):
            continue
        if is_ours(work, event):
            observations.set_aside(work, event)
        else:
            observations.record(work, event)


def is_ours(work: Transaction, event: ObservedChange) -> bool:
    """Tell whether an entry of the audit explains a change."""
    return next(explanations(work, event, near=CLOCKS_APART), None) is not None


def explanations(
    work: Transaction, event: ObservedChange, *, near: timedelta
) -> Iterator[tuple[int, str]]:
    """Give what of the audit explains a change: an entry's number, and the key that it is about."""
    if event.item == "document":
        yield from ((number, event.key) for number in _releases(work, event))
    since = datetime.fromtimestamp(event.not_before_ms / 1000, UTC) - near
    until = datetime.fromtimestamp(event.not_after_ms / 1000, UTC) + near
    for entry in audit.entries(work, agent=event.agent, environment=event.environment, since=since):
        if entry.stamp.at > until:
            return
        if _explains(entry, event):
            yield entry.stamp.sequence, event.key


def _releases(work: Transaction, event: ObservedChange) -> Iterator[int]:
    generation, before = _generation(event.new), _generation(event.old)
    if generation is not None and before is not None and generation < before:
        return  # an older release put back by hand
    newest = deployments.deployments(
        work, event.agent, environment=event.environment, at_most=NEWEST
    )
    for deployment in newest:
        fits = generation in (None, deployment.generation)
        if fits and _shown(work, deployment) == event.new:
            yield deployment.stamp.sequence


def _shown(work: Transaction, deployment: Deployment) -> str:
    return envelope_shown(document_of(deployment, configs_of(work, deployment), None))


def _explains(entry: Entry, event: ObservedChange) -> bool:
    """Tell whether a command wrote this value, or cleared the one that stood there."""
    if entry.environment != event.environment:
        return False
    match entry.data:
        case {"changes": {event.key: {"new": None | str() as wrote}}}:
            return event.new == shown_value(event.key, wrote)
        case {"data": {"overrides": {event.key: [str(value), str(version)]}}}:
            # Redis's component splits an item at ``||``; a replica tells of it whole.
            told = (shown_value(event.key, text) for text in (value, f"{value}||{version}"))
            return event.new is None and event.old in told
        case _:
            return False


def _generation(shown: str | None) -> int | None:
    try:
        value = parse_json(shown or "")
    except JsonTextError:
        return None
    found = value.get("generation") if isinstance(value, dict) else None
    return found if isinstance(found, int) else None
