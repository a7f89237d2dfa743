"""The commands about runs against an agent on real HTTP; the runs are as the test says."""

from __future__ import annotations

import io
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from retunable.agent.runs.views import ExplainedCall, ExplainedStep, RunState
from retunable.errors import ConversationBusy, RunTimeout, Unavailable
from tests.integration.cli.conftest import Retune
from tests.integration.cli.live_agent import served
from tests.unit.serve.standin import Asked, StandInAgent, a_run, a_step

CALL = ExplainedCall(call_id="run-1.1.0", name="add", arguments='{"a": 1}', result="3", ok=True)


@pytest.fixture
def agent(tmp_path: Path, retune: Retune) -> Iterator[StandInAgent]:
    running = StandInAgent(steps=(a_step(calls=(CALL,)), a_step(2, text="about hello")))
    with served(running, tmp_path):
        yield running


def test_ask_prints_the_answer_alone_on_standard_output(
    retune: Retune, agent: StandInAgent
) -> None:
    ended = retune("ask", "hello", "--user", "Zoë", "--conversation", "c")
    assert (ended.code, ended.out) == (0, "about hello\n")
    begun, answered = agent.asked
    assert (begun.user_id, begun.conversation_id) == ("Zoë", "c")
    assert (answered.user_id, answered.conversation_id) == ("Zoë", "c")
    assert answered.run_id == "run-1"


def test_ask_tells_the_steps_on_standard_error(retune: Retune, agent: StandInAgent) -> None:
    assert retune("ask", "hello").err.splitlines() == [
        "step 1: openai/small, 5 + 2 tokens",
        '  calls add({"a": 1})',
        "  add -> 3",
        "step 2: openai/small, 5 + 2 tokens",
    ]


def test_ask_as_json_is_one_object_and_nothing_else(retune: Retune, agent: StandInAgent) -> None:
    ended = retune("ask", "hello", "--json")
    assert (ended.json["text"], ended.json["run_id"], ended.err) == ("about hello", "run-1", "")


def test_ask_tells_why_there_is_no_answer(retune: Retune, agent: StandInAgent) -> None:
    def late(asked: Asked) -> None:
        assert asked.deadline is not None
        assert 0 < asked.deadline <= 1
        raise RunTimeout("run run-1 goes on", run_id="run-1")

    agent.answer = late  # type: ignore[assignment]
    ended = retune("ask", "hello", "--deadline", "1", "--json")
    assert ended.code == 1
    assert ended.json["problem"]["run_id"] == "run-1"


def test_ask_tells_who_holds_the_conversation(retune: Retune, agent: StandInAgent) -> None:
    agent.away = ConversationBusy("c", holder="r-0")
    ended = retune("ask", "hello", "--conversation", "c")
    assert (ended.code, "busy with run r-0" in ended.err) == (1, True)


def test_an_answer_does_not_depend_on_the_progress(retune: Retune, agent: StandInAgent) -> None:
    class Silent(StandInAgent):
        async def follow(self, run_id: str) -> AsyncIterator[ExplainedStep]:
            if run_id:
                raise Unavailable("gone", part="state store")
            yield a_step()

    agent.__class__ = Silent
    ended = retune("ask", "hello")
    assert (ended.code, ended.out, ended.err) == (0, "about hello\n", "")


def test_ask_without_an_agent_says_where_it_looked(retune: Retune) -> None:
    ended = retune("ask", "hello")
    assert (ended.code, ".retunable/agents" in ended.err) == (1, True)


def test_runs_are_a_table(retune: Retune, agent: StandInAgent) -> None:
    agent.kept = {"r-1": a_run("r-1"), "r-22": a_run("r-22", RunState.RUNNING)}
    assert retune("runs").out.splitlines() == [
        "RUN   STATE     BEGUN (UTC)          SECONDS  STEPS  TOKENS  CONVERSATION",
        "r-22  running   2026-01-01 10:00:00",
        "r-1   finished  2026-01-01 10:00:00  2.5      1      7",
    ]


def test_runs_are_chosen_by_state_and_number(retune: Retune, agent: StandInAgent) -> None:
    agent.kept = {f"r-{n}": a_run(f"r-{n}") for n in range(3)}
    agent.kept["old"] = a_run("old", RunState.FAILED)
    listed = retune("runs", "--status", "finished", "--limit", "2", "--json").json["runs"]
    assert [run["run_id"] for run in listed] == ["r-2", "r-1"]
    assert retune("runs", "--status", "stopped").out == "no stopped runs among the latest\n"


def test_explain_as_json_is_what_is_kept(retune: Retune, agent: StandInAgent) -> None:
    agent.kept = {"a/b": a_run("a/b")}
    told = retune("explain", "a/b", "--json").json
    assert (told["status"]["run_id"], len(told["steps"])) == ("a/b", 2)


def test_explain_names_a_run_that_is_not_kept(retune: Retune, agent: StandInAgent) -> None:
    ended = retune("explain", "nobody")
    assert (ended.code, "keeps no run 'nobody'" in ended.err) == (1, True)


def test_stop_ends_a_run_and_says_if_it_was_over(retune: Retune, agent: StandInAgent) -> None:
    agent.kept = {"r-1": a_run("r-1", RunState.RUNNING), "r-2": a_run("r-2")}
    assert retune("stop", "r-1").out == "run r-1: stopped\n"
    assert retune("stop", "r-2").out == "run r-2: finished, it was over before\n"


def test_forget_asks_first(retune: Retune, agent: StandInAgent) -> None:
    agent.conversations = {"c": 4}
    ended = retune("forget", "c")
    assert (ended.code, "--yes" in ended.err) == (2, True)
    assert agent.conversations == {"c": 4}


@pytest.mark.parametrize(("said", "left"), [("n\n", {"c": 4}), ("", {"c": 4}), ("y\n", {})])
def test_forget_does_what_the_person_says(
    retune: Retune,
    agent: StandInAgent,
    monkeypatch: pytest.MonkeyPatch,
    said: str,
    left: dict[str, int],
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal(said))
    agent.conversations = {"c": 4}
    retune("forget", "c")
    assert agent.conversations == left


def test_forget_tells_how_many_runs_were_erased(retune: Retune, agent: StandInAgent) -> None:
    agent.conversations = {"c": 4}
    assert retune("forget", "c", "--yes", "--json").json == {"conversation_id": "c", "runs": 4}
