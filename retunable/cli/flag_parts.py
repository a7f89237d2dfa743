"""The parts of a flag that a person typed, read into what an envelope says. Pure but for the list key."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from retunable.cli.ages import duration
from retunable.cli.changes import field_change
from retunable.cli.exits import ExitCode, Stop
from retunable.cli.flag_wish import FlagWish
from retunable.config.split import is_usable
from retunable.config.targeting import ListKey
from retunable.release.publishing.outcomes import FlagRefused

NEVER: Final = "never"
ANYBODY: Final = "anybody"
_RULE = re.compile(r"\s*([^\s]+)\s+(in|not in)\s+(.+)")

GetListKey = Callable[[], ListKey]


def applied(
    wish: FlagWish, flag: Mapping[str, Any], *, now: datetime, salt: str, list_key: GetListKey
) -> dict[str, Any] | FlagRefused:
    """Return a flag with what is wanted.

    ``salt`` is for one that has none; ``list_key`` is asked for where users are named.
    """
    changed = dict(flag)
    if wish.percent is not None:
        changed["percent"] = wish.percent
        changed.setdefault("salt", salt)
    if wish.rules:
        changed["when"] = [_rule(text) for text in wish.rules if text != ANYBODY]
    if wish.expires is not None:
        changed["expires_at"] = _end(wish.expires, now)
    for part, texts, read in (
        ("set", wish.values, _value),
        ("tools", wish.tools, _switch),
        ("guardrails", wish.guardrails, _settings),
    ):
        if texts:
            changed[part] = dict(flag.get(part, {})) | dict(read(text) for text in texts)
    if not (wish.users or wish.users_gone):
        return changed
    return _listed(wish, changed, list_key())


def _listed(wish: FlagWish, flag: dict[str, Any], key: ListKey) -> dict[str, Any] | FlagRefused:
    standing = flag.get("users") or {"key_id": key.id, "hashes": []}
    name = flag["name"]
    if standing["key_id"] != key.id:
        return FlagRefused(
            f"the list of flag {name} was made with another key ({standing['key_id']}); name "
            "that one, or take the flag away and make it anew"
        )
    gone = {_hash(key, name, user) for user in wish.users_gone}
    added = [_hash(key, name, user) for user in wish.users]
    hashes = sorted({*standing["hashes"], *added} - gone)
    return {**flag, "users": {"key_id": key.id, "hashes": hashes}}


def _hash(key: ListKey, flag: str, user: str) -> str:
    if not is_usable(user):
        raise Stop("a user id has 1 to 256 bytes of UTF-8", ExitCode.USAGE)
    return key.listed_as(flag, user)


def _rule(text: str) -> dict[str, Any]:
    found = _RULE.fullmatch(text)
    if found is None:
        raise Stop(
            f"{text!r} is no rule; write 'plan in pro,team' or 'country not in DE', or {ANYBODY} "
            "for no rule",
            ExitCode.USAGE,
        )
    values = [value.strip() for value in found[3].split(",")]
    return {"attribute": found[1], found[2].replace(" ", "_"): values}


def _end(text: str, now: datetime) -> str | None:
    if text == NEVER:
        return None
    return (now + duration(text)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _value(text: str) -> tuple[str, Any]:
    name, value = _halves(text, "temperature=0.2")
    change = field_change(name, value, prefix="", store="other")
    return change.field.name, change.value


def _switch(text: str) -> tuple[str, bool]:
    name, value = _halves(text, "search=on")
    if value not in ("on", "off"):
        raise Stop(f"{text!r}: a tool is on or off, like search=on", ExitCode.USAGE)
    return name, value == "on"


def _settings(text: str) -> tuple[str, Any]:
    name, value = _halves(text, "length=off")
    if value in ("on", "off"):
        return name, {} if value == "on" else None
    try:
        settings = json.loads(value)
    except ValueError as error:
        raise Stop(
            f"{text!r}: a guardrail is on, off, or has its settings as a JSON object",
            ExitCode.USAGE,
        ) from error
    return name, settings


def _halves(text: str, example: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise Stop(f"{text!r} has another form; write it like {example}", ExitCode.USAGE)
    return name, value
