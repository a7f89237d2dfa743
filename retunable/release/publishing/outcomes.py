"""What becomes of an operation, as values; those of the release store itself are its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from retunable.config.items import Item
from retunable.release.store.approvals import NoSuchVersion
from retunable.release.store.deployments import Conflict, NotApproved
from retunable.release.store.records import Deployment
from retunable.release.store.rollouts import AlreadyLive


@dataclass(frozen=True, slots=True, kw_only=True)
class Activated:
    """It is published and written down. ``cleared`` are the overrides that went with it.

    ``superseded_by`` is the higher generation that stands already where this one was published by
    somebody else while this process was stopped.
    """

    deployment: Deployment
    before: Deployment | None
    cleared: Mapping[str, Item]
    superseded_by: int | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """What stands under these keys is not what was shown; nothing was published."""

    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unpublishable:
    """No agent could take it; nothing was written."""

    reason: str


@dataclass(frozen=True, slots=True)
class NothingBefore:
    """There is no version to go back to."""


@dataclass(frozen=True, slots=True)
class NeverActive:
    """The version never ran in the environment that it should come from."""

    version: int
    environment: str


@dataclass(frozen=True, slots=True)
class NotActive:
    """Nothing is active in the environment."""

    environment: str


@dataclass(frozen=True, slots=True)
class FlagRefused:
    """A flag cannot be made or changed so; nothing was written."""

    reason: str


@dataclass(frozen=True, slots=True)
class ProgramRefuses:
    """The program that runs would take nothing of the document; nothing was written.

    ``field`` and ``flag`` are those that it is about, where it is about one alone. A flag that
    ``stands`` was published before.
    """

    reason: str
    field: str | None = None
    flag: str | None = None
    stands: bool = False


@dataclass(frozen=True, slots=True)
class Overtaken:
    """What was decided on is not as it was; nothing was written."""

    reason: str


Refusal = (
    Conflict
    | NotApproved
    | NoSuchVersion
    | Changed
    | Unpublishable
    | NothingBefore
    | NeverActive
    | NotActive
    | Overtaken
    | FlagRefused
    | ProgramRefuses
    | AlreadyLive
)
Outcome = Activated | Refusal
