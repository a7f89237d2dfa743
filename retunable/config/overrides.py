"""Field keys above a base config: which of them apply, and which stay at what was good.

Each key is checked by itself first, then the rules across fields. Where only such a rule
fails, its fields go back to their last valid combination together and the others apply.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from retunable.config.agent_config import AgentConfig, InvalidField, check_field
from retunable.config.constraints import RULES, Violation
from retunable.config.declaration import Declaration
from retunable.config.fields import FIELD_BY_NAME, FieldTextError, parse_field_text
from retunable.config.items import Item, Items, StoreKind, Unreadable, readable
from retunable.config.last_good import LastGood
from retunable.config.rejection import Refused, Rejection
from retunable.config.trust import UNSIGNED


@dataclass(frozen=True, slots=True)
class Override:
    """One field key that is used: its checked value and its item; ``kept`` if remembered."""

    value: Any
    item: Item
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the field keys add to a base: by field name, and what to remember by store key."""

    used: dict[str, Override]
    rejections: tuple[Rejection, ...]
    remembered: dict[str, Item]

    @property
    def values(self) -> dict[str, Any]:
        """The checked values by field name."""
        return {name: override.value for name, override in self.used.items()}


def read_overrides(
    declaration: Declaration,
    base: AgentConfig,
    items: Items,
    last_good: LastGood,
    store: StoreKind,
) -> Overrides:
    """Read every field key above a base config that is valid by itself."""
    reader = _Reader(declaration, base, last_good, store)
    used: dict[str, Override] = {}
    rejections: list[Rejection] = []
    for name, key in declaration.field_keys.items():
        if key not in items:
            continue
        try:
            used[name] = reader.read(name, items[key])
        except Refused as refusal:
            kept = reader.remembered(name)
            rejections.append(refusal.rejection(key, kept=kept is not None))
            if kept is not None:
                used[name] = kept
    put_back: dict[str, Override] = {}
    for rule in RULES:
        if violation := reader.violation(used, rule):
            offered = frozenset(rule & used.keys())
            put_back |= reader.restore(used, rule)
            rejections += _combination(declaration, used, offered, violation)
    remembered = {
        declaration.field_keys[name]: override.item for name, override in (used | put_back).items()
    }
    return Overrides(used, tuple(rejections), remembered)


def refused_overrides(declaration: Declaration, items: Items) -> Overrides:
    """Refuse every field key by name, for an agent that takes only signed releases."""
    refused = [
        Rejection(key, name, "unsigned", f"{name} {UNSIGNED}; use: retune override {name} VALUE")
        for name, key in declaration.field_keys.items()
        if key in items
    ]
    return Overrides({}, tuple(refused), {})


@dataclass(frozen=True, slots=True)
class _Reader:
    declaration: Declaration
    base: AgentConfig
    last_good: LastGood
    store: StoreKind

    def read(self, name: str, item: Item | Unreadable) -> Override:
        """Return one field key's override; raise Refused where it is not valid by itself."""
        try:
            whole = readable(item, self.store)
            value = check_field(name, parse_field_text(FIELD_BY_NAME[name], whole.value))
        except Refused as refusal:
            raise Refused(refusal.code, refusal.reason, field=name) from refusal
        except FieldTextError as error:
            raise Refused("invalid_value", f"{name} {error}", field=name) from error
        except InvalidField as error:
            raise Refused("invalid_value", str(error), field=name) from error
        for violation in self.declaration.constraints.check(self.base.with_values({name: value})):
            if violation.fields == {name}:
                raise Refused("constraint", f"{name} {violation.reason}", field=name)
        return Override(value, whole)

    def remembered(self, name: str) -> Override | None:
        """Return the last good override of a field, if it is still valid by itself."""
        item = self.last_good.items.get(self.declaration.field_keys[name])
        if item is None:
            return None
        try:
            override = self.read(name, Item(item.value))
        except Refused:
            return None
        return Override(override.value, item, kept=True)

    def violation(self, used: dict[str, Override], rule: frozenset[str]) -> Violation | None:
        """Return how the overrides break one rule across fields, None where they keep it."""
        if not rule & used.keys():
            return None
        values = {name: override.value for name, override in used.items()}
        found = self.declaration.constraints.check(self.base.with_values(values))
        return next((violation for violation in found if violation.fields == rule), None)

    def restore(self, used: dict[str, Override], rule: frozenset[str]) -> dict[str, Override]:
        """Put a rule's fields in ``used`` back to their last valid combination, or to the base.

        Returns that combination, which goes on being remembered even where the base does not
        allow it now.
        """
        for name in rule:
            used.pop(name, None)
        last = {name: kept for name in sorted(rule) if (kept := self.remembered(name))}
        used.update(last)
        if self.violation(used, rule):
            for name in last:
                del used[name]
        return last


def _combination(
    declaration: Declaration,
    used: dict[str, Override],
    offered: frozenset[str],
    violation: Violation,
) -> list[Rejection]:
    reason = f"{' and '.join(sorted(violation.fields))}: {violation.reason}"
    return [
        Rejection(declaration.field_keys[name], name, "combination", reason, kept=name in used)
        for name in sorted(offered)
    ]
