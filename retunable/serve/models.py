"""What an agent says of itself over HTTP and gRPC: what it runs on and whether it takes runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Literal, Self

from pydantic import BaseModel

from retunable.agent.status import AgentStatus
from retunable.config.constraints import Constraints, Violation
from retunable.config.declaration import Declaration
from retunable.config.document import read_document
from retunable.config.fieldset import complete_config
from retunable.config.rejection import Refused, Rejection
from retunable.config.snapshot import Provenance, Snapshot
from retunable.errors import NotReady
from retunable.serve.served import ServedAgent

StatusWord = Literal["NOT_READY", "READY", "STALE", "ERROR"]


class Checksums(BaseModel):
    """``effective`` of what a caller without user gets, ``version`` of the active release."""

    effective: str | None
    version: str | None


class Keys(BaseModel):
    """Where in the store this agent looks."""

    document: str
    prefix: str


class ConfigReport(BaseModel):
    """What the agent runs on now, where each field comes from, and how fresh it is.

    ``config`` and what belongs to it are null while nothing was ever read (NOT_READY).
    """

    agent: str
    environment: str
    version: int | None = None
    generation: int | None = None
    document: str | None = None
    config: dict[str, Any] | None = None
    checksums: Checksums = Checksums(effective=None, version=None)
    sources: dict[str, Provenance] = {}
    overrides: dict[str, Any] = {}
    rejected: tuple[Rejection, ...] = ()
    lost: tuple[str, ...] = ()
    not_honoured: tuple[str, ...] = ()
    whole: bool | None = None
    revision: int | None = None
    status: StatusWord
    reason: str | None
    detail: str
    stream: str | None
    age_seconds: float | None
    replacements: int
    last_replacement_cause: str | None
    provider_refusal: str | None
    embedded_restarts: int | None = None
    expired_flags: tuple[str, ...] = ()
    events_waiting: int = 0
    events_dropped: int = 0
    registered_tools: tuple[str, ...] = ()
    keys: Keys

    @classmethod
    def of(cls, agent: ServedAgent) -> Self:
        """Report on an agent as it is now; its status is taken after its snapshot."""
        try:
            known = _known(agent.snapshot)
        except NotReady:
            known = {}
        status, declaration = agent.status, agent.declaration
        return cls.model_validate(
            {
                **known,
                "agent": declaration.agent,
                "environment": declaration.environment,
                **asdict(status),
                "status": status.state.name,
                "reason": status.reason.value if status.reason else None,
                "stream": status.stream.value if status.stream else None,
                "registered_tools": sorted(declaration.constraints.registered_tools or ()),
                "keys": Keys(document=declaration.document, prefix=declaration.prefix),
            }
        )


class Fault(BaseModel):
    """What the program cannot take, the fields that it is about, and the flag that asks for it.

    ``reason`` is a sentence that names them.
    """

    fields: tuple[str, ...]
    reason: str
    flag: str | None = None

    @classmethod
    def of(cls, refusal: Refused) -> Self:
        """Tell a refusal."""
        named = () if refusal.field is None else (refusal.field,)
        return cls(fields=named, reason=refusal.reason, flag=refusal.flag)

    @classmethod
    def broken(cls, violation: Violation) -> Self:
        """Tell a constraint that is broken."""
        fields = tuple(sorted(violation.fields))
        return cls(fields=fields, reason=f"{' and '.join(fields)} {violation.reason}")


class Check(BaseModel):
    """Whether the program behind this agent could take something: it can where there is no fault."""

    faults: tuple[Fault, ...]

    @classmethod
    def of_config(cls, config: Mapping[str, Any], constraints: Constraints) -> Self:
        """Check a complete config: every field, tools as a list."""
        try:
            violations = constraints.check(complete_config(config))
        except Refused as refusal:
            return cls(faults=(Fault.of(refusal),))
        return cls(faults=tuple(Fault.broken(violation) for violation in violations))

    @classmethod
    def of_document(cls, document: Mapping[str, Any], declaration: Declaration) -> Self:
        """Check a document as it is checked when the store holds it; the first fault refuses it."""
        try:
            read_document(document, declaration)
        except Refused as refusal:
            return cls(faults=(Fault.of(refusal),))
        return cls(faults=())


class Health(BaseModel):
    """The process serves."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """Whether the agent takes runs; STALE does, on the last good configuration."""

    status: StatusWord
    reason: str | None
    detail: str

    @classmethod
    def of(cls, status: AgentStatus) -> Self:
        """Report on a status."""
        return cls.model_validate(
            {
                "status": status.state.name,
                "reason": status.reason.value if status.reason else None,
                "detail": status.detail,
            }
        )


def _known(snapshot: Snapshot) -> dict[str, object]:
    return {
        "version": snapshot.version,
        "generation": snapshot.generation,
        "document": snapshot.document,
        "config": snapshot.config.to_json(),
        "checksums": Checksums(effective=snapshot.checksum, version=snapshot.version_checksum),
        "sources": dict(snapshot.provenance),
        "overrides": {name: snapshot.config.to_json()[name] for name in snapshot.overrides},
        "rejected": snapshot.rejected,
        "lost": snapshot.lost,
        "not_honoured": snapshot.not_honoured,
        "whole": snapshot.whole,
        "revision": snapshot.revision,
    }
