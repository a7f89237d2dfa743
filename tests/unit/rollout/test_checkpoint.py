"""An analysis that goes on from where another stood decides as the one that saw everything."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

import hypothesis.strategies as st
from hypothesis import given, settings

from retunable.config.stages import Arm, Place
from retunable.rollout.analysis import Analysis, Basis
from retunable.rollout.events import Event, Exposure, Outcome, Rating
from retunable.rollout.metrics import Limits
from tests.unit.rollout.worlds import COHORTS, PACE, POLICY, TIMEOUT, WINDOW

BASIS = Basis(stable_checksum="s", canary_checksum="c", flags="f", tools=None, overrides=())
LIMITS = Limits(slow_above_seconds=2, costly_above=1)
STEP_SECONDS = 4.0
"""Between two events: users of a run are decided three events later."""
FAST = replace(POLICY, pace=replace(PACE, window_seconds=5.0, run_timeout_seconds=5.0))


@dataclass
class Followed:
    """An analysis that is taken up anew from its checkpoint where a test says so."""

    analysis: Analysis = field(
        default_factory=lambda: Analysis(FAST, COHORTS, BASIS, limits=LIMITS)
    )
    met: dict[str, list[str]] = field(default_factory=dict)
    earlier: set[str] = field(default_factory=set)
    resumed: dict[str, list[str]] = field(default_factory=dict)

    def see(self, event: Event) -> None:
        """Take an event, and be told of its user first where the analysis has no memory of it."""
        run = event if isinstance(event, Exposure) else event.exposure
        if run.user is not None and not self.analysis.knows(run.user):
            compared = self.analysis.basis.tools in self.resumed.get(run.user, ())
            earlier = self.earlier & {run.user}
            self.analysis.recall(earlier=earlier, decided={run.user} - earlier if compared else ())
        self.analysis.see(event)
        if run.user is not None and run.is_comparable:
            self.met.setdefault(run.user, []).append(run.tool_code)

    def rebase(self, basis: Basis) -> None:
        if self.analysis.rebase(basis):
            self.earlier |= self.met.keys()
            self.met, self.resumed = {}, {}

    def take_up(self) -> None:
        """Forget everything but the checkpoint, which has been through JSON."""
        kept = json.loads(json.dumps(self.analysis.to_json()))
        self.analysis = Analysis(FAST, COHORTS, BASIS, limits=LIMITS)
        self.analysis.resume(kept)
        self.resumed = {user: list(codes) for user, codes in self.met.items()}


@st.composite
def told(draw: st.DrawFn) -> Event:
    """A run of one of a few users, told in one of the three ways."""
    arm: Arm = draw(st.sampled_from(["canary", "control"]))
    place = draw(st.sampled_from([Place(0, arm), Place(0, arm), Place(1, arm), None]))
    run = Exposure(
        run=draw(st.sampled_from("1234567890")),
        user=draw(st.sampled_from(["a", "b", "c", None])),
        place=place,
        started_at=draw(st.integers(0, 40)) / 2,
        pinned_before=draw(st.integers(0, 9)) == 0,
        tool_code=draw(st.sampled_from(["old", "old", "new"])),
    )
    match draw(st.sampled_from(["exposure", "outcome", "outcome", "rating"])):
        case "exposure":
            return run
        case "rating":
            return Rating(exposure=run, liked=draw(st.booleans()))
        case _:
            return Outcome(
                exposure=run,
                failed=draw(st.booleans()),
                limit_hit=draw(st.booleans()),
                latency_seconds=draw(st.sampled_from([1.0, 3.0])),
                cost=draw(st.sampled_from([None, 0.5, 2.0])),
            )


bases = st.builds(
    lambda flags, tools: replace(BASIS, flags=flags, tools=tools),
    st.sampled_from("fg"),
    st.sampled_from(["old", "new"]),
)
changes = st.sampled_from([None] * 5) | bases
"""What is compared changes now and then."""


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(told(), st.booleans(), changes), min_size=5, max_size=40))
def test_whoever_goes_on_from_a_checkpoint_counts_as_who_saw_everything(
    history: list[tuple[Event, bool, Basis | None]],
) -> None:
    whole, resumed = Followed(), Followed()
    for now, (event, takes_up, basis) in enumerate(history):
        for followed in (whole, resumed):
            if basis is not None:
                followed.rebase(basis)
            followed.analysis.mature(now * STEP_SECONDS)
            followed.see(event)
        if takes_up:
            resumed.take_up()
    for followed in (whole, resumed):
        followed.analysis.mature(WINDOW + TIMEOUT)

    assert resumed.analysis.counts == whole.analysis.counts
    assert resumed.analysis.uncounted == whole.analysis.uncounted
    assert resumed.analysis.basis == whole.analysis.basis
    assert resumed.analysis.tools_in_use() == whole.analysis.tools_in_use()
