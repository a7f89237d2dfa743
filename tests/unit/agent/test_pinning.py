"""Which config a step runs on."""

from dataclasses import replace

from retunable.agent.loop.pinning import Pin, choose, effective_from, reference_to
from retunable.config.agent_config import AgentConfig
from retunable.config.constraints import Constraints
from retunable.config.resolve import Effective

OLD = Effective(
    config=AgentConfig(role="old", model="m", instructions=("a", "b"), tools=("search",)),
    checksum="1:sha256:old",
    revision=1,
    variant="stable",
    version=3,
    version_checksum="1:sha256:v3",
    generation=7,
    override_keys=("role",),
)
NEW = replace(
    OLD,
    config=AgentConfig(role="new", model="m"),
    checksum="1:sha256:new",
    revision=2,
    version=4,
    version_checksum="1:sha256:v4",
    generation=8,
)
ALLOWS = Constraints(registered_tools=("search",))


def chosen_role(pin: Pin, previous: Effective | str | None, *, current: bool = True) -> str | None:
    chosen = choose(pin, previous=previous, fresh=NEW, current=current, constraints=ALLOWS)
    return chosen.effective.config.role


def test_the_first_step_takes_the_config_of_now() -> None:
    assert chosen_role("turn", None) == "new"


def test_pin_turn_stays_on_the_first_config() -> None:
    assert chosen_role("turn", OLD) == "old"


def test_pin_call_takes_the_config_of_now_at_each_step() -> None:
    assert chosen_role("call", OLD) == "new"


def test_pin_call_on_a_stale_replica_goes_on_with_the_previous_config() -> None:
    assert chosen_role("call", OLD, current=False) == "old"


def test_pin_call_never_follows_a_higher_generation_with_a_lower_one() -> None:
    ahead = replace(OLD, generation=9)
    assert chosen_role("call", ahead) == "old"


def test_a_pinned_config_whose_tool_is_gone_unpins_and_says_so() -> None:
    chosen = choose(
        "turn",
        previous=OLD,
        fresh=NEW,
        current=True,
        constraints=Constraints(registered_tools=("other",)),
    )
    assert chosen.effective is NEW
    assert chosen.unpinned is not None
    assert "'search'" in chosen.unpinned


def test_a_revoked_version_unpins() -> None:
    chosen = choose(
        "turn",
        previous=OLD,
        fresh=NEW,
        current=True,
        constraints=ALLOWS,
        revoked=("1:sha256:v3",),
    )
    assert chosen.effective is NEW
    assert chosen.unpinned == "version 3 was revoked"


def test_a_pinned_config_that_this_program_cannot_read_unpins_with_the_reason() -> None:
    previous = effective_from(reference_to(OLD), OLD.config.to_json() | {"mood": "blue"})
    assert isinstance(previous, str)
    chosen = choose("turn", previous=previous, fresh=NEW, current=True, constraints=ALLOWS)
    assert chosen.effective is NEW
    assert chosen.unpinned == previous
    assert "mood" in previous


def test_an_effective_config_is_put_together_from_its_reference_and_its_content() -> None:
    assert effective_from(reference_to(OLD), OLD.config.to_json()) == OLD


def test_a_pinned_config_that_is_no_longer_stored_unpins_with_the_reason() -> None:
    previous = effective_from(reference_to(OLD), None)
    chosen = choose("turn", previous=previous, fresh=NEW, current=True, constraints=ALLOWS)
    assert chosen.effective is NEW
    assert "no longer in the state store" in (chosen.unpinned or "")


def test_pin_conversation_stays_on_what_the_conversation_began_with() -> None:
    assert chosen_role("conversation", OLD) == "old"
    assert chosen_role("conversation", None) == "new"


def test_the_reference_that_workflows_keep_is_pinned() -> None:
    assert reference_to(OLD) == {
        "checksum": "1:sha256:old",
        "revision": 1,
        "variant": "stable",
        "version": 3,
        "version_checksum": "1:sha256:v3",
        "generation": 7,
        "override_keys": ["role"],
        "flags": [],
    }
