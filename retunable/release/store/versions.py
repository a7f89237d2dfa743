"""Versions: immutable, numbered per agent without a gap, readable for ever.

What the latest version already is makes no new one. Which version is active is for ``deployments``.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from retunable.config.agent_config import AgentConfig
from retunable.config.constraints import Constraints
from retunable.config.diff import diff
from retunable.config.jsontext import JsonTextError, check_text
from retunable.release.store import audit
from retunable.release.store.audit import Record, stamp_of
from retunable.release.store.database import Transaction
from retunable.release.store.records import Version
from retunable.release.store.version_data import (
    Invalid,
    VersionData,
    agent_config,
    stored_config,
    version_data,
)

NO_CONSTRAINTS: Final = Constraints()
MAX_REASON_CHARACTERS: Final = 10_000
MAX_NAME_CHARACTERS: Final = 200
ALL: Final = 2**53 - 1
_SOURCE = re.compile(r"cli|captured|git:[0-9a-f]{40,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What is offered as a new version.

    ``config`` is a JSON object with every field, tools as a list. ``source`` is ``cli``,
    ``captured`` (from what ran) or ``git:<commit>``. ``parent`` is the version that it was made
    from; None stands for the latest one. ``constraints`` are the program's, where they are known.
    """

    agent: str
    config: Mapping[str, Any]
    reason: str
    source: str = "cli"
    parent: int | None = None
    constraints: Constraints = NO_CONSTRAINTS


@dataclass(frozen=True, slots=True)
class Saved:
    """A new version stands in the store."""

    version: Version


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The latest version is this config already; no new one was made."""

    version: Version


def save(work: Transaction, draft: Draft) -> Saved | Unchanged | Invalid:
    """Save a draft as the agent's next version, checked and small enough to be published."""
    data = version_data(draft.config, draft.constraints)
    if isinstance(data, Invalid):
        return data
    newest = latest(work, draft.agent)
    if newest is not None and newest.checksum == data.checksum:
        return Unchanged(newest)
    parent = draft.parent if draft.parent is not None else newest.number if newest else None
    if (fault := _fault(draft)) is not None:
        return fault
    if draft.parent is not None and version(work, draft.agent, draft.parent) is None:
        return Invalid(f"parent {draft.parent} is no version of {draft.agent}")
    number = newest.number + 1 if newest else 1
    return Saved(_write(work, draft, data, number=number, parent=parent))


def versions(
    work: Transaction, agent: str, *, before: int = ALL, at_most: int = ALL
) -> tuple[Version, ...]:
    """Return an agent's versions, newest first, those below number ``before``."""
    return tuple(
        _version(row) for row in work.rows("versions", agent=agent, before=before, at_most=at_most)
    )


def version(work: Transaction, agent: str, number: int) -> Version | None:
    """Return one version; None where the agent has none of this number."""
    key = ("version", agent, number)
    if key not in work.immutable:
        row = work.first("version", agent=agent, number=number)
        if row is None:
            return None
        work.immutable[key] = _version(row)
    found: Version = work.immutable[key]
    return found


def latest(work: Transaction, agent: str) -> Version | None:
    """Return the version with the highest number; None where there is none."""
    newest = versions(work, agent, at_most=1)
    return newest[0] if newest else None


def config(work: Transaction, of: Version) -> dict[str, Any]:
    """Return a version's config as the JSON object that was saved; an envelope carries it so.

    Raises:
        ReleaseDamaged: the stored bytes are not those of the version's checksum.
    """
    key = ("config", of.agent, of.number)
    if key not in work.immutable:
        row = work.first("config", agent=of.agent, number=of.number)
        work.immutable[key] = bytes(row.config) if row else b""
    data = VersionData(of.schema, of.checksum, work.immutable[key])
    return stored_config(data, place=f"version {of.number} of {of.agent}")


def parsed_config(work: Transaction, of: Version) -> AgentConfig:
    """Return a version's config as today's value. Raises as ``config`` does."""
    return agent_config(config(work, of))


def agents(work: Transaction) -> dict[str, int]:
    """Return every agent that has versions, with the number of its latest."""
    return {row.agent: row.latest for row in work.rows("agents")}


def _write(
    work: Transaction, draft: Draft, data: VersionData, *, number: int, parent: int | None
) -> Version:
    before = version(work, draft.agent, parent) if parent is not None else None
    changed = diff(parsed_config(work, before), agent_config(draft.config)) if before else ()
    saved_id = str(uuid.uuid4())
    detail = {
        "id": saved_id,
        "parent": parent,
        "source": draft.source,
        "schema_number": data.schema,
    }
    entry = audit.append(
        work,
        Record(
            action="save",
            agent=draft.agent,
            version=number,
            old_version=parent,
            checksum=data.checksum,
            reason=draft.reason,
            data={**detail, "fields": [change.field for change in changed]},
        ),
    )
    work.run(
        "insert_version",
        sequence=entry.stamp.sequence,
        agent=draft.agent,
        number=number,
        checksum=data.checksum,
        config=data.config,
        **detail,
    )
    return Version(
        stamp=entry.stamp,
        id=saved_id,
        agent=draft.agent,
        number=number,
        parent=parent,
        source=draft.source,
        schema=data.schema,
        checksum=data.checksum,
        size_bytes=len(data.config),
    )


def _fault(draft: Draft) -> Invalid | None:
    try:
        for text in (draft.agent, draft.reason):
            check_text(text)
    except JsonTextError as error:
        return Invalid(f"agent and reason must be plain text: {error}")
    if not 0 < len(draft.agent) <= MAX_NAME_CHARACTERS:
        return Invalid(f"an agent's name has 1 to {MAX_NAME_CHARACTERS} characters")
    if len(draft.reason) > MAX_REASON_CHARACTERS:
        return Invalid(
            f"the reason has {len(draft.reason):,} characters, {MAX_REASON_CHARACTERS:,} are allowed"
        )
    if not _SOURCE.fullmatch(draft.source):
        return Invalid(f"source {draft.source!r:.80} must be cli, captured or git:<commit>")
    return None


def _version(row: Any) -> Version:
    return Version(
        stamp=stamp_of(row),
        id=row.id,
        agent=row.agent,
        number=row.number,
        parent=row.parent,
        source=row.source,
        schema=row.schema_number,
        checksum=row.checksum,
        size_bytes=row.size_bytes,
    )
