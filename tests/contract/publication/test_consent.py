"""The running program is asked about the very document that is published, and no lock waits for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from retunable.release.publishing.activation import Wish, activate
from retunable.release.publishing.flags import publish_flags, with_new
from retunable.release.publishing.outcomes import Activated, Outcome, ProgramRefuses
from retunable.release.publishing.site import ControlPlane
from retunable.release.store import deployments
from tests.contract.publication.worlds import SITE, World, published, put, running, save

FLAG = {"name": "beta", "set": {"temperature": 0.2}}


def nothing() -> None:
    """Nothing happens while the program is asked."""


@dataclass
class AskedProgram:
    """A program that takes no flags; ``meanwhile`` happens while it is asked first."""

    meanwhile: Callable[[], object] = nothing
    asked: list[Mapping[str, Any]] = field(default_factory=list)

    def refusal(self, document: Mapping[str, Any]) -> ProgramRefuses | None:
        self.asked.append(document)
        if len(self.asked) == 1:
            self.meanwhile()
        return ProgramRefuses("it takes no flags", flag="beta") if document["flags"] else None


def activate_asking(plane: ControlPlane, version: int, program: AskedProgram) -> Outcome:
    return activate(replace(plane, program=program), SITE, Wish(version=version, reason="test"))


def test_a_document_that_the_program_refuses_leaves_nothing_behind(plane: ControlPlane) -> None:
    put(plane, SITE, save(plane, "First"))
    before = published(plane)

    asking = replace(plane, program=AskedProgram())
    outcome = publish_flags(asking, SITE, with_new(FLAG), reason="test")

    assert outcome == ProgramRefuses("it takes no flags", flag="beta")
    assert published(plane) == before
    with plane.store.snapshot() as work:
        assert len(deployments.deployments(work, SITE.agent, environment=SITE.environment)) == 1


def test_a_flag_that_stood_before_is_told_from_a_new_one(plane: ControlPlane) -> None:
    put(plane, SITE, save(plane, "First"))
    assert isinstance(publish_flags(plane, SITE, with_new(FLAG), reason="test"), Activated)

    refused = activate_asking(plane, save(plane, "Second"), AskedProgram())

    assert refused == ProgramRefuses("it takes no flags", flag="beta", stands=True)


def test_what_the_program_agreed_to_is_what_stands(plane: ControlPlane) -> None:
    program = AskedProgram()

    activate_asking(plane, save(plane, "First"), program)

    assert program.asked == [published(plane) | {"published_at": program.asked[0]["published_at"]}]


def test_where_another_publication_came_meanwhile_the_program_is_asked_again(
    world: World, plane: ControlPlane
) -> None:
    put(plane, SITE, save(plane, "First"))
    second = save(plane, "Second")
    with world.plane() as other:
        program = AskedProgram(
            meanwhile=lambda: publish_flags(other, SITE, with_new(FLAG), reason="test")
        )
        outcome = activate_asking(plane, second, program)

    assert isinstance(outcome, ProgramRefuses)
    assert [len(document["flags"]) for document in program.asked] == [0, 1]
    assert running(plane) == (2, 1, "First")


def test_a_generation_that_went_on_is_no_reason_to_ask_again(
    world: World, plane: ControlPlane
) -> None:
    first = save(plane, "First")
    with world.plane() as other:
        program = AskedProgram(meanwhile=lambda: put(other, SITE, first))
        activate_asking(plane, first, program)

    assert len(program.asked) == 1
    assert running(plane) == (2, 1, "First")
