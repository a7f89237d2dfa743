"""What a program may declare, and the document key that follows from a name."""

from __future__ import annotations

from typing import Any

import pytest

from retunable.config.constraints import Constraints
from retunable.config.declaration import declare, document_key_of
from retunable.errors import ConfigurationError
from tests.unit.config.worlds import DEFAULTS


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("config-aware-agent", "config_aware_agent"),
        ("Support Bot (EU)", "support_bot_eu_"),
        ("a--b", "a_b"),
        ("Ärzte", "_rzte"),
        ("7", "7"),
    ],
)
def test_the_document_key_follows_from_the_name(name: str, key: str) -> None:
    assert document_key_of(name) == key


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("日本", {}, "config_key="),
        ("", {}, "config_key="),
        ("tools", {}, "is the store key of a field"),
        ("Agent Role", {}, "is the store key of a field"),
        ("Access Token", {}, "reads like a secret"),
        ("a", {"config_key": "with space"}, "config_key="),
        ("a", {"prefix": "support"}, "end with '/'"),
        ("a", {"prefix": "sup-port/"}, "end with '/'"),
        ("a", {"environment": "Prod uction"}, "environment"),
        ("a", {"accept": "releases"}, "only signed releases"),
        ("a", {"accept": "nothing"}, "'anything' or 'releases'"),
        ("a", {"constraints": Constraints(providers=["openai"])}, "break its constraints"),
        ("a", {"constraints": Constraints(max_iterations=9)}, "at most 9"),
    ],
)
def test_what_cannot_work_is_refused_with_the_mend(
    name: str, arguments: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigurationError, match=says):
        declare(name, defaults=DEFAULTS, **arguments)


def test_one_string_is_no_set_of_names() -> None:
    with pytest.raises(ConfigurationError, match="set of names"):
        Constraints(models="gpt-small")


def test_a_program_that_bounds_tokens_also_bounds_the_providers_own_default() -> None:
    violations = Constraints(max_tokens=100).check(DEFAULTS.with_values({"max_tokens": 101}))

    assert [violation.fields for violation in violations] == [frozenset({"max_tokens"})]
