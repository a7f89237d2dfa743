"""What a synchronisation does: which agents get a version, and where git, store and agents differ."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from retunable.config.checksum import checksum
from retunable.config.constraints import Constraints
from retunable.errors import ConfigurationError
from retunable.release.config_files import AGENT_FILE, FileFault
from retunable.release.store import deployments, versions
from retunable.release.store.database import Transaction
from retunable.release.store.records import Version
from retunable.release.store.release_store import ReleaseStore
from retunable.release.store.version_data import Invalid, version_data
from retunable.release.store.versions import Draft, Saved, Unchanged
from retunable.release.sync.working_tree import Source


@dataclass(frozen=True, slots=True)
class Synced:
    """An agent's version of what git has; ``new`` where this run saved it."""

    source: Source
    version: Version
    new: bool


@dataclass(frozen=True, slots=True)
class Drift:
    """Where an agent differs from git, in words."""

    agent: str
    reason: str


def synchronise(
    store: ReleaseStore, sources: Iterable[Source]
) -> tuple[Synced, ...] | tuple[FileFault, ...]:
    """Save a version of each agent that git has changed, all of them in one transaction.

    The commit's author is recorded beside who is logged in, its subject is the reason.

    Raises:
        ConfigurationError: an agent's name or a commit's subject cannot be recorded.
        ReleaseStoreError: the release store is away or refuses; nothing was written.
    """
    wanted = tuple(sources)
    if faults := tuple(_faults(wanted)):
        return faults
    with store.transaction() as work:
        return tuple(_synced(work, source) for source in wanted)


def differences(
    work: Transaction, sources: Iterable[Source], *, environment: str
) -> tuple[Drift, ...]:
    """Return where what is saved, and what is active in an environment, is not what git has."""
    return tuple(
        drift for source in sources if (drift := _difference(work, source, environment)) is not None
    )


def _faults(sources: Iterable[Source]) -> Iterable[FileFault]:
    for source in sources:
        data = version_data(source.config, Constraints())
        if isinstance(data, Invalid):
            yield FileFault(source.folder / AGENT_FILE, data.reason, field=data.field)


def _synced(work: Transaction, source: Source) -> Synced:
    author = replace(work, claimed=source.author)
    draft = Draft(
        agent=source.agent,
        config=source.config,
        reason=source.subject,
        source=f"git:{source.commit}",
    )
    match versions.save(author, draft):
        case Saved(version):
            return Synced(source, version, new=True)
        case Unchanged(version):
            return Synced(source, version, new=False)
        case Invalid(reason):
            # Checked before; a name or subject that no version can have still stops all of it.
            raise ConfigurationError(f"{source.folder / AGENT_FILE}: {reason}")


def _difference(work: Transaction, source: Source, environment: str) -> Drift | None:
    wanted = checksum(dict(source.config))
    latest = versions.latest(work, source.agent)
    if latest is None:
        return Drift(source.agent, "git has it, and no version was saved")
    if latest.checksum != wanted:
        return Drift(source.agent, f"version {latest.number} ({latest.source}) is not what git has")
    active = deployments.active(work, source.agent, environment=environment)
    if active is None or active.version is None:
        return Drift(source.agent, f"version {latest.number} is what git has, and none is active")
    if active.checksum != wanted:
        return Drift(
            source.agent,
            f"version {active.version} is active in {environment}, and {latest.number} is what git "
            "has",
        )
    return None
