"""Fields inside a JSON object: found by either name, checked one by one and together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from retunable.config.agent_config import AgentConfig, InvalidField, check_field
from retunable.config.constraints import Constraints
from retunable.config.fields import FIELDS, find_field, is_secret_name, nearest_field
from retunable.config.rejection import Refused


def checked_fields(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the checked fields of a JSON object by field name.

    Raises:
        Refused: an unknown or repeated field, a secret, or a value out of type or range.
    """
    checked: dict[str, Any] = {}
    for name, member in value.items():
        field = find_field(name)
        if field is None:
            raise _unknown(name, member)
        if field.name in checked:
            raise Refused("shape", f"{field.name} stands twice (as {name!r})", field=field.name)
        try:
            checked[field.name] = check_field(field.name, member)
        except InvalidField as error:
            raise Refused("invalid_value", str(error), field=field.name) from error
    return checked


def complete_config(value: Mapping[str, Any]) -> AgentConfig:
    """Return the config of a JSON object that must hold every field, tools as a list.

    Raises:
        Refused: as ``checked_fields``, or a field is missing.
    """
    checked = checked_fields(value)
    missing = [field.name for field in FIELDS if field.name not in checked]
    if missing:
        raise Refused("shape", f"a version holds every field; missing: {', '.join(missing)}")
    if checked["tools"] is None:
        raise Refused("shape", "a version names its tools as an explicit list", field="tools")
    return AgentConfig().with_values(checked)


def check_constraints(config: AgentConfig, constraints: Constraints) -> None:
    """Raise Refused with the first constraint of the program that a config breaks."""
    for violation in constraints.check(config):
        fields = sorted(violation.fields)
        field = fields[0] if len(fields) == 1 else None
        raise Refused("constraint", f"{' and '.join(fields)} {violation.reason}", field=field)


def _unknown(name: str, member: object) -> Refused:
    if is_secret_name(name):
        size = len(member) if isinstance(member, str) else 0
        return Refused("secret", secret_reason(name, size))
    nearest = nearest_field(name)
    hint = f"; did you mean {nearest!r}?" if nearest else ""
    return Refused("unknown_field", f"{name[:60]!r} is not a field{hint}")


def secret_reason(name: str, size: int) -> str:
    """Say why a secret is refused without showing it: its name and length only."""
    return (
        f"{name[:60]!r} ({size} characters) looks like a secret, and configuration is readable "
        "by every app on the sidecar; put it in a Dapr secret store and name it in the program: "
        "api_key=Secret('secretstore/key')"
    )
