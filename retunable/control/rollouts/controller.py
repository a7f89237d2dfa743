"""The activities of a rollout's workflow, on the release store and one configuration store.

Each can be run again at any time: what it does is done once, for a move names the step that it was
decided on. A store that is away makes it wait, never act.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from threading import Lock
from typing import Any, Final

from retunable.config.checksum import canonical
from retunable.control.rollouts.following import Follower
from retunable.control.rollouts.judging import Heard, decide, restart, verdict_json
from retunable.control.rollouts.prometheus import ask
from retunable.errors import ConfigurationError, ReleaseStoreError, StoreWriteError
from retunable.release.publishing.aborting import is_aborted
from retunable.release.publishing.outcomes import Activated
from retunable.release.publishing.rollouts import Move, carry_out, differing, masking
from retunable.release.publishing.settling import settle_pending
from retunable.release.publishing.site import ControlPlane, Site, look
from retunable.release.publishing.state import publish, state
from retunable.release.signing import SigningKey
from retunable.release.store import deployments, rollouts, run_events
from retunable.release.store.database import Transaction
from retunable.release.store.parts import Parts
from retunable.release.store.release_store import ReleaseStore
from retunable.release.store.rollouts import Rollout
from retunable.release.writer import Publisher
from retunable.rollout.analysis import Basis
from retunable.rollout.policy_document import parse_alarms

logger = logging.getLogger("retunable")

LOOK_SECONDS: Final = 5.0
AWAY_SECONDS: Final = 5.0

_AWAY: Final = (ReleaseStoreError, StoreWriteError, ConfigurationError)


@dataclass(frozen=True, kw_only=True)
class Controller:
    """What activities work with; ``open_publisher`` connects anew for each."""

    store: ReleaseStore
    open_publisher: Callable[[], Publisher]
    key: SigningKey | None = None
    _followers: dict[str, Follower] = field(default_factory=dict)
    _turns: dict[str, Lock] = field(default_factory=dict)
    _said: dict[str, str] = field(default_factory=dict)

    def publish(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """End what is pending, and write an abort down that the release store does not know.

        What somebody else wrote in the envelope's place stays: they may have meant it.
        """
        try:
            row = self._row(data["rollout"])
            if row is not None:
                with self._at(row) as (plane, site):
                    settle_pending(plane, site)
                    if is_aborted(look(plane, site), Parts.of(state(plane, site).active)):
                        publish(plane, site, reason="aborted in the configuration store")
        except _AWAY as error:
            self._say(data["rollout"], str(error))
        return {}

    def judge(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``over``, ``move`` (None for none) and ``wait_seconds``."""
        try:
            # One rollout's long reading holds up no other's.
            with self._turns.setdefault(data["rollout"], Lock()):
                return self._judged(data["rollout"])
        except _AWAY as error:
            self._say(data["rollout"], str(error))
            return {"over": False, "move": None, "wait_seconds": AWAY_SECONDS}

    def act(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Make a move, unless another was made since it was decided."""
        move = Move(**data)
        try:
            row = self._row(move.rollout)
            if row is None:
                return {"done": False}
            with self._at(row) as (plane, site):
                outcome = carry_out(plane, site, move)
        except _AWAY as error:
            logger.warning("rollout %s: %s was not done now: %s", move.rollout, move.state, error)
            return {"done": False}
        done = isinstance(outcome, Activated | Rollout)
        if done:
            logger.info("rollout %s is %s: %s", move.rollout, move.state, move.reason)
        else:
            logger.info("rollout %s: %s was overtaken: %s", move.rollout, move.state, outcome)
        return {"done": done}

    def _judged(self, name: str) -> dict[str, Any]:
        row = self._row(name)
        if row is None or not row.is_live:
            self._followers.pop(name, None)
            return {"over": True, "move": None, "wait_seconds": 0}
        follower = self._followers.setdefault(name, Follower(row))
        follower.catch_up(self.store)
        wait_seconds = row.plan.get("look_seconds", LOOK_SECONDS)
        with self._at(row) as (plane, site):
            if drift := state(plane, site).drift:
                self._say(name, f"{drift[0]}; retune publish mends it")
                return {"over": False, "move": None, "wait_seconds": wait_seconds}
            basis = basis_of(plane, site, row)
        heard = [Heard(alarm, ask(alarm)) for alarm in parse_alarms(row.plan["policy"])]
        with self.store.transaction() as work:
            now = rollouts.rollout(work, name) or row
            verdict = follower.judge(work, now)
            basis = replace(basis, tools=follower.analysis.tools_in_use())
            if basis != follower.analysis.basis:
                move: Move | None = restart(now, basis, after=run_events.newest(work))
            else:
                numbers = verdict_json(verdict, follower.analysis, heard)
                move = decide(now, verdict, heard, numbers)
            follower.keep(work)
        return {
            "over": False,
            "move": move and asdict(move),
            "wait_seconds": wait_seconds,
        }

    def _say(self, name: str, why: str) -> None:
        """Say why a rollout waits, once for each reason."""
        if self._said.get(name) != why:
            logger.warning("rollout %s waits: %s", name, why)
        self._said[name] = why

    def _row(self, name: str) -> Rollout | None:
        with self.store.snapshot() as work:
            return rollouts.rollout(work, name)

    @contextmanager
    def _at(self, row: Rollout) -> Iterator[tuple[ControlPlane, Site]]:
        publisher = self.open_publisher()
        try:
            if row.plan["store"] != publisher.describe():
                raise ConfigurationError(
                    f"it is published on {row.plan['store']}, this process writes "
                    f"{publisher.describe()}; start another retune control with --store"
                )
            plane = ControlPlane(store=self.store, publisher=publisher, key=self.key)
            yield plane, site_of(row)
        finally:
            publisher.close()


def site_of(row: Rollout) -> Site:
    """Return where a rollout is published."""
    site = row.plan["site"]
    return Site(
        agent=row.agent,
        environment=row.environment,
        prefix=site["prefix"],
        document_key=site["document"].removeprefix(site["prefix"]),
    )


def basis_of(plane: ControlPlane, site: Site, row: Rollout) -> Basis:
    """Return what is compared now, as both stores say it; which tools, runs say.

    Raises StoreWriteError.
    """
    standing = look(plane, site)
    with plane.store.snapshot() as work:
        active = deployments.active(work, site.agent, environment=site.environment)
        parts = Parts.of(active)
        fields = _differing(work, row, active.version if active else None)
        masked = masking(site, standing, parts, fields, now=work.now.timestamp())
    return Basis(
        stable_checksum=(active.checksum if active else None) or "",
        canary_checksum=row.checksum,
        flags=flags_checksum(parts),
        tools=None,
        overrides=tuple(sorted(masked)),
    )


def flags_checksum(parts: Parts) -> str:
    """Return what tells one set of flags from another."""
    return hashlib.sha256(canonical(list(parts.flags))).hexdigest()


def _differing(work: Transaction, row: Rollout, stable: int | None) -> frozenset[str]:
    return differing(work, row.agent, stable, row.version) if stable else frozenset()
