"""Random workflow programs: what they are, and the one workflow that runs any of them.

A program is data, so that it travels as a workflow's input. From one seed comes one program, with
the events that a driver raises to it. Whatever it does must not depend on what is faster.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import groupby
from typing import Any

from dapr.ext.workflow import (
    DaprWorkflowContext,
    RetryPolicy,
    WorkflowActivityContext,
    WorkflowRuntime,
    when_all,
)

INTERPRETER = "interpreter"
ACTIVITY = "step"
FIRST_RETRY_SECONDS = 0.01


Program = list[dict[str, Any]]


@dataclass(frozen=True)
class Call:
    """One call of an activity: by which instance, at which place of its program."""

    instance: str
    place: str
    attempt: int


@dataclass
class Calls:
    """What activities were called, in order, from any thread."""

    _calls: list[Call] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, instance: str, place: str) -> int:
        """Note a call; return which attempt it is."""
        with self._lock:
            attempt = sum(one.instance == instance and one.place == place for one in self._calls)
            self._calls.append(Call(instance, place, attempt))
            return attempt

    def of(self, root: str) -> dict[str, list[list[Call]]]:
        """Return the calls of an instance and all below it, each one's in order.

        Calls of one fan-out may come in any order, and are sorted.
        """
        with self._lock:
            mine = [call for call in self._calls if call.instance.split(":")[0] == root]
        instances = {call.instance for call in mine}
        return {name: _in_groups([c for c in mine if c.instance == name]) for name in instances}


def _in_groups(calls: list[Call]) -> list[list[Call]]:
    groups = groupby(calls, key=lambda call: call.place.rpartition("/")[0] or call.place)
    return [sorted(group, key=lambda call: (call.place, call.attempt)) for _, group in groups]


def register(runtime: WorkflowRuntime, calls: Calls) -> None:
    """Register the interpreter; its activities are noted in ``calls``."""

    def interpreter(ctx: DaprWorkflowContext, given: dict[str, Any]) -> Any:
        return (yield from run(ctx, given))

    def step(ctx: WorkflowActivityContext, given: dict[str, Any]) -> Any:
        attempt = calls.note(ctx.workflow_id, given["place"])
        if attempt < given["failures"]:
            raise ValueError(f"attempt {attempt} of {given['place']}")
        return f"{given['place']}={given['value']}"

    runtime.register_workflow(interpreter, name=INTERPRETER)
    runtime.register_activity(step, name=ACTIVITY)


def run(ctx: DaprWorkflowContext, given: dict[str, Any]) -> Generator[Any, Any, Any]:
    """Run the rest of a program; ``said`` is what it gave so far."""
    said: list[Any] = given["said"]
    program: Program = given["program"]
    for position, statement in enumerate(program):
        match statement["do"]:
            case "again":
                rest = {"program": program[position + 1 :], "said": said}
                ctx.continue_as_new(rest, save_events=True)
                return None
            case "status":
                ctx.set_custom_status(statement["value"])
            case "fail":
                raise RuntimeError(f"meant to fail at {statement['place']}")
            case "all":
                said.append((yield when_all([_task(ctx, one) for one in statement["of"]])))
            case "caught":
                try:
                    said.append((yield _task(ctx, statement["one"])))
                except Exception as error:  # noqa: BLE001 - the failure is part of the outcome
                    said.append(f"{type(error).__name__}: {error}")
            case _:
                said.append((yield _task(ctx, statement)))
    return said


def _task(ctx: DaprWorkflowContext, statement: dict[str, Any]) -> Any:
    match statement["do"]:
        case "call":
            return ctx.call_activity(
                ACTIVITY, input=statement["given"], retry_policy=_retries(statement)
            )
        case "child":
            # The SDK's own ids count what was awaited before, and so depend on what was faster.
            # One with a slash keeps daprd 1.18.2 trying to create it for ever.
            return ctx.call_child_workflow(
                INTERPRETER,
                input={"program": statement["program"], "said": []},
                instance_id=f"{ctx.instance_id}:{statement['place'].replace('/', '_')}",
                retry_policy=_retries(statement),
            )
        case "timer":
            return ctx.create_timer(timedelta(milliseconds=statement["milliseconds"]))
        case "event":
            return ctx.wait_for_external_event(statement["name"])
        case other:
            raise AssertionError(other)


def _retries(statement: dict[str, Any]) -> RetryPolicy | None:
    if statement["attempts"] == 1:
        return None
    return RetryPolicy(
        first_retry_interval=timedelta(seconds=FIRST_RETRY_SECONDS),
        max_number_of_attempts=statement["attempts"],
    )


@dataclass(frozen=True)
class Case:
    """A program with the events that it awaits, in the order and spelling in which they come."""

    seed: int
    program: Program
    events: list[tuple[str, Any]]
    suspended: bool
    """Whether it is suspended while the events come; then it begins by awaiting one.

    A workflow that does something else meanwhile is failed by the SDK on daprd 1.18.2
    (NonDeterminismError): what it scheduled stands behind the suspension in its history.
    """


def case(seed: int) -> Case:
    """Return the case of a seed."""
    return _Maker(seed).case()


class _Maker:
    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = random.Random(seed)
        self._events: list[tuple[str, Any]] = []

    def case(self) -> Case:
        suspended = self._random.random() < 0.2
        program = self._program(prefix="", depth=0, longest=7)
        if suspended:
            program.insert(0, self._event("first"))
        # The order of events of one name matters and stays; across names it is any.
        names = [name for name, _ in self._events]
        self._random.shuffle(names)
        values: dict[str, list[Any]] = {}
        for name, value in self._events:
            values.setdefault(name, []).append(value)
        events = [(self._spelled(name), values[name].pop(0)) for name in names]
        return Case(self._seed, program, events, suspended)

    def _program(
        self, *, prefix: str, depth: int, longest: int, must_work: bool = False
    ) -> Program:
        length = self._random.randint(1, longest)
        places = (f"{prefix}{number}" for number in range(length))
        return [self._statement(place, depth=depth, must_work=must_work) for place in places]

    def _statement(self, place: str, *, depth: int, must_work: bool) -> dict[str, Any]:
        kinds: dict[str, float] = {"call": 6, "all": 3, "timer": 2, "caught": 2, "status": 1}
        if not must_work:
            kinds |= {"fail": 0.3}
        if depth < 2:
            kinds |= {"child": 2}
        if depth == 0:
            kinds |= {"event": 3, "again": 1}
        (kind,) = self._random.choices(list(kinds), weights=list(kinds.values()))
        match kind:
            case "all":
                return {"do": "all", "of": self._fan_out(place, depth=depth, must_work=must_work)}
            case "caught":
                return {"do": "caught", "one": self._call(place)}
            case "status":
                return {"do": "status", "value": f"at {place}"}
            case "event":
                return self._event(place)
            case "again" | "fail":
                return {"do": kind, "place": place}
            case _:
                return self._one(kind, place, depth=depth, must_work=must_work)

    def _fan_out(self, place: str, *, depth: int, must_work: bool) -> Program:
        """Return statements to run at once; whether one fails must not depend on what is faster.

        The first failure ends the workflow: then no other may still have something to do.
        """
        places = [f"{place}/{number}" for number in range(self._random.randint(2, 5))]
        if not must_work and self._random.random() < 0.2:
            calls = [self._call(one, attempts=1, may_fail=False) for one in places]
            calls[0]["given"]["failures"] = 1
            return calls
        kinds = ("call", "call", "timer") + (("child",) if depth < 1 else ())
        return [
            self._one(self._random.choice(kinds), one, depth=depth, must_work=True)
            for one in places
        ]

    def _one(self, kind: str, place: str, *, depth: int, must_work: bool) -> dict[str, Any]:
        match kind:
            case "call":
                return self._call(place, may_fail=not must_work)
            case "timer":
                return {"do": "timer", "milliseconds": self._random.randint(0, 40)}
            case _:
                program = self._program(
                    prefix=f"{place}.", depth=depth + 1, longest=3, must_work=must_work
                )
                return {"do": "child", "place": place, "program": program, "attempts": 1}

    def _call(
        self, place: str, *, attempts: int | None = None, may_fail: bool = True
    ) -> dict[str, Any]:
        attempts = attempts or self._random.choice((1, 1, 1, 2, 3))
        some = self._random.choice((0, attempts - 1, attempts - 1, attempts))
        given = {
            "place": place,
            "failures": some if may_fail else min(some, attempts - 1),
            "value": self._random.randint(0, 99),
        }
        return {"do": "call", "given": given, "attempts": attempts}

    def _event(self, place: str) -> dict[str, Any]:
        name = self._random.choice(("go", "stop", "news"))
        self._events.append((name, f"said at {place}"))
        return {"do": "event", "name": self._spelled(name)}

    def _spelled(self, name: str) -> str:
        return self._random.choice((name, name.upper(), name.title()))
