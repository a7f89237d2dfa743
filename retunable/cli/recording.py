"""How a write goes through the release store: told by the audit, compared, signed where a key is named.

A field key bears no signature, so with a key a value goes into the envelope of the active release,
until it is unset or another version is activated.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from retunable.cli.exits import ExitCode, Stop
from retunable.cli.expectation import DocumentReset, Expectation, FieldSet, ReleaseTaken
from retunable.cli.hearing import Hearing
from retunable.cli.place import Place
from retunable.cli.program_check import RunningProgram
from retunable.cli.refusals import activated
from retunable.cli.releasing import release_store, running_program, signing_key, site_of
from retunable.cli.target import Target
from retunable.cli.write import Write
from retunable.release.publishing import operations
from retunable.release.publishing.site import ControlPlane, Site, Standing
from retunable.release.publishing.tuning import Tuning, tune
from retunable.release.store import deployments
from retunable.release.writer import Publisher

FOR_GOOD: Final = "9999-12-31T00:00:00Z"
"""When a signed value ends that nobody gave an end."""


@dataclass(frozen=True, slots=True)
class Recorder:
    """Writes to one site through the release store.

    ``program`` is asked about a value that is set inside the envelope: agents would refuse it whole.
    """

    plane: ControlPlane
    site: Site
    reason: str
    program: RunningProgram

    def hearing(self) -> Hearing:
        """Begin to listen to the replicas that a control process hears of."""
        return Hearing(self.plane.store, self.site.agent, environment=self.site.environment)

    def write(self, write: Write) -> tuple[Expectation, ...]:
        """Carry a write out and return what it should bring about."""
        if write.action == "reset":
            return self._reset(write)
        if self.plane.key is None:
            return self._tune(write)
        return self._set_signed(write) if write.action == "set" else self._unset_signed(write)

    def _tune(self, write: Write) -> tuple[Expectation, ...]:
        tuning = Tuning(
            action="set" if write.action == "set" else "unset",
            changes=write.changes,
            fields=write.fields,
            reason=self.reason,
        )
        tune(self.plane, self.site, tuning, shown=write.shown)
        return write.expectations

    def _reset(self, write: Write) -> tuple[Expectation, ...]:
        """Publish a tombstone; all field keys go with it, or those named in a write after it."""
        outcome = operations.reset(
            self.plane,
            self.site,
            reason=self.reason,
            keep_overrides=write.keeps_others,
            shown=self._standing(write),
        )
        generation = activated(outcome, self.site).deployment.generation
        named = {key: text for key, text in write.changes.items() if text is None}
        if write.keeps_others and named:
            tuning = Tuning(action="unset", changes=named, fields=write.fields, reason=self.reason)
            tune(self.plane, self.site, tuning)
        others = (e for e in write.expectations if not isinstance(e, DocumentReset))
        return (*others, DocumentReset(self.site.document, generation))

    def _set_signed(self, write: Write) -> tuple[Expectation, ...]:
        document = self.site.document
        if document in write.changes:
            raise Stop(
                "a document of fields cannot be signed; save the file as a version and activate "
                f"it: retune save {self.site.agent} FILE -m WHY",
                ExitCode.USAGE,
            )
        held = {
            name: {"value": value, "expires_at": FOR_GOOD} for name, value in write.wanted.items()
        }
        taken = self._override(held, self.program)
        return (taken, *(FieldSet(name, document, value) for name, value in write.wanted.items()))

    def _unset_signed(self, write: Write) -> tuple[Expectation, ...]:
        with self.plane.store.snapshot() as work:
            now = deployments.active(work, self.site.agent, environment=self.site.environment)
        held = now.parts.get("overrides", {}) if now else {}
        ended = {name: None for name in write.fields if name in held}
        taken = (self._override(ended),) if ended else ()
        if ended and not self.plane.publisher.read(tuple(write.changes)):
            return taken
        return (*taken, *self._tune(replace(write, shown=None)))

    def _override(
        self, overrides: dict[str, Any], program: RunningProgram | None = None
    ) -> ReleaseTaken:
        plane = replace(self.plane, program=program)
        outcome = operations.override(plane, self.site, overrides, reason=self.reason)
        done = activated(outcome, self.site)
        return ReleaseTaken(self.site.document, done.deployment.generation)

    def _standing(self, write: Write) -> Standing | None:
        if write.shown is None:
            return None
        fields = set(self.site.field_keys.values())
        overrides = {key: item for key, item in write.shown.items() if key in fields}
        return Standing(write.shown.get(self.site.document), overrides)


@contextmanager
def recorder(
    place: Place, target: Target, publisher: Publisher, *, reason: str
) -> Iterator[Recorder]:
    """Open the release store that is known here."""
    if target.agent is None:
        raise Stop(
            "the release store that is known here tells who changed which agent, and none runs "
            "here: add --agent NAME",
            ExitCode.USAGE,
        )
    with release_store(place, missing="make") as store:
        plane = ControlPlane(
            store=store, publisher=publisher, key=signing_key(place), claimed=place.actor
        )
        program = running_program(place, target, "all")
        yield Recorder(plane, site_of(place, target), reason, program)
