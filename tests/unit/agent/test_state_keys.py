"""The keys and workflow ids under which runs are kept, pinned."""

from retunable.agent.state.keys import StateKeys, call_id, new_run_id

KEYS = StateKeys("My agent", "default")


def test_the_keys_are_pinned() -> None:
    root = "retunable/default/My%20agent"
    assert KEYS.run("r") == f"{root}/run/r"
    assert KEYS.end("r") == f"{root}/run/r/end"
    assert KEYS.step("r", 2) == f"{root}/run/r/2"
    assert KEYS.call("r", 2, 0) == f"{root}/run/r/2/0"
    assert KEYS.ratings("r") == f"{root}/run/r/ratings"
    assert KEYS.conversation("c") == f"{root}/conversation/c"
    assert KEYS.conversation_page("c", 0) == f"{root}/conversation/c/0"
    assert KEYS.content("1:sha256:ab") == f"{root}/content/1%3Asha256%3Aab"
    assert KEYS.index == f"{root}/runs"
    assert KEYS.index_page(3) == f"{root}/runs/3"
    assert call_id("r", 2, 0) == "r.2.0"


def test_a_run_id_needs_no_quoting_and_is_never_given_twice() -> None:
    ids = {new_run_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(run) == 16 and KEYS.run(run).endswith(f"/run/{run}") for run in ids)


def test_workflows_of_two_agents_or_environments_never_meet() -> None:
    assert KEYS.workflow("r 1") == "My%20agent:r%201"
    assert StateKeys("a", "staging").workflow("r") == "staging:a:r"
    assert StateKeys("a:b", "default").workflow("c") != StateKeys("a", "default").workflow("b:c")


def test_no_id_reaches_another_place() -> None:
    assert KEYS.run("r/end") != KEYS.end("r")
    assert "||" not in KEYS.run("a||b")
    assert KEYS.run("../x").count("/") == KEYS.run("x").count("/")
