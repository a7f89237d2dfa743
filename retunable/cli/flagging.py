"""``retune flag``: what it does to flags, and what it shows of them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

from retunable.cli.activating import carry_out
from retunable.cli.exits import ExitCode, Stop
from retunable.cli.flag_parts import applied
from retunable.cli.flag_wish import FlagRequest, FlagWish
from retunable.cli.named_secrets import named_secret
from retunable.cli.output import Output, shown
from retunable.cli.place import Place
from retunable.cli.program_check import Asks
from retunable.cli.releasing import Desk, release_desk
from retunable.config.build import build
from retunable.config.resolve import Resolution, resolve
from retunable.config.snapshot import Snapshot
from retunable.config.targeting import ListKey
from retunable.release.publishing.flags import (
    FlagChange,
    Flags,
    FlagsChange,
    flags_of,
    new_salt,
    publish_flags,
    with_changed,
    with_new,
    without,
)
from retunable.release.publishing.outcomes import Activated, FlagRefused

KEY_VARIABLE: Final = "RETUNABLE_USER_KEY"


def create(
    request: FlagRequest, wish: FlagWish, *, enabled: bool, user_key: str | None, output: Output
) -> ExitCode:
    """Make a flag that the running program can take."""
    complete = _completion(request, wish, user_key)
    bare = {"name": request.name, "enabled": enabled, "salt": new_salt()}

    def added(flags: Flags) -> Flags | FlagRefused:
        flag = complete(bare)
        return flag if isinstance(flag, FlagRefused) else with_new(flag)(flags)

    return _published(request, added, output)


def change(
    request: FlagRequest, wish: FlagWish, *, user_key: str | None, output: Output
) -> ExitCode:
    """Change a flag into one that the running program can take."""
    changed = with_changed(request.name, _completion(request, wish, user_key))
    return _published(request, changed, output)


def switch(request: FlagRequest, *, on: bool, output: Output) -> ExitCode:
    """Put a flag on, if the running program can take it, or off at once."""
    switched = with_changed(request.name, lambda flag: {**flag, "enabled": on})
    return _published(request, switched, output, asks="all" if on else None)


def remove(request: FlagRequest, *, output: Output) -> ExitCode:
    """Take a flag away."""
    return _published(request, without(request.name), output, asks=None)


def list_flags(place: Place, *, output: Output) -> ExitCode:
    """Show the flags of what is active."""
    with release_desk(place) as desk:
        flags = flags_of(desk.plane, desk.site)
    if not flags:
        output.line(f"{desk.site.agent} in {desk.site.environment} has no flags")
    for flag in flags:
        output.line(_line(flag, now=datetime.now(UTC)))
    output.result({"flags": [dict(flag) for flag in flags]})
    return ExitCode.OK


def explain(
    place: Place,
    user: str,
    *,
    attributes: tuple[str, ...],
    user_key: str | None,
    output: Output,
) -> ExitCode:
    """Show what a user gets of what is published, and why."""
    named = dict(_attribute(text) for text in attributes)
    key = _key(place, user_key)
    with release_desk(place) as desk:
        found = resolve(
            _published_snapshot(desk), now=time.time(), user_id=user, attributes=named, list_key=key
        )
    output.line(f"{found.effective.variant}: {found.assignment.reason.value}")
    for one in found.flags:
        output.line(f"{one.name}: {'on' if one.on else 'off'}, {one.reason.value}")
    if not found.flags:
        output.line("no flags")
    output.result(_explained(found))
    return ExitCode.OK


def _completion(request: FlagRequest, wish: FlagWish, user_key: str | None) -> FlagChange:
    """Return what makes the wanted flag of one, at each try the same: salt and moment are chosen once."""
    key, now, salt = _asked_for(request.place, user_key), datetime.now(UTC), new_salt()
    return lambda flag: applied(wish, flag, now=now, salt=salt, list_key=key)


def _published(
    request: FlagRequest, change: FlagsChange, output: Output, *, asks: Asks | None = "all"
) -> ExitCode:
    """Publish other flags; nobody is asked where one goes off or away, for that brings nothing new."""
    name = request.name

    def lines(desk: Desk, done: Activated) -> list[str]:
        flags = {flag["name"]: flag for flag in done.deployment.parts.get("flags", ())}
        where = f"{desk.site.agent} in {desk.site.environment}"
        stands = _line(flags[name], now=datetime.now(UTC)) if name in flags else f"{name}: gone"
        return [f"{where}: generation {done.deployment.generation}", stands]

    return carry_out(
        request.place,
        lambda desk: publish_flags(desk.plane, desk.site, change, reason=request.reason),
        asks=asks,
        wait=request.wait,
        output=output,
        lines=lines,
    )


def _line(flag: Mapping[str, Any], *, now: datetime) -> str:
    end = flag.get("expires_at")
    expired = end is not None and datetime.fromisoformat(end) <= now
    state = "expired" if expired else "on" if flag.get("enabled", True) else "off"
    whom = [f"{len(flag['users']['hashes'])} listed users"] if flag.get("users") else []
    rules = [
        f"{rule['attribute']} {'in' if 'in' in rule else 'not in'} "
        + ",".join(rule.get("in") or rule.get("not_in", ()))
        for rule in flag.get("when", ())
    ]
    percent = flag.get("percent", 100 if rules else 0)
    if percent:
        whom.append(" and ".join([f"{percent:g} % of callers", *rules]))
    changes = [f"{part} {shown(flag[part])}" for part in _CHANGES if flag.get(part)]
    ends = [] if end is None else [f"until {end}"]
    return f"{flag['name']}: {state}; " + "; ".join([*(whom or ["for nobody"]), *changes, *ends])


_CHANGES: Final = ("set", "tools", "guardrails")


def _published_snapshot(desk: Desk) -> Snapshot:
    """Return what agents make of what stands; their own constraints are not known here."""
    declaration = desk.site.declaration
    items = desk.plane.publisher.read(declaration.keys)
    snapshot = build(declaration, items, store=desk.plane.publisher.kind, now=time.time()).snapshot
    if snapshot.version is None:
        raise Stop(
            f"no release of {desk.site.agent} is published in {desk.site.environment}: retune "
            f"status {desk.site.agent}"
        )
    return snapshot


def _explained(found: Resolution) -> dict[str, Any]:
    return {
        "variant": found.effective.variant,
        "version": found.effective.version,
        "reason": found.assignment.reason.name.lower(),
        "bucket": found.assignment.bucket,
        "rollout": found.effective.rollout,
        "flags": [
            {"name": one.name, "on": one.on, "reason": one.reason.name.lower()}
            for one in found.flags
        ],
    }


def _attribute(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise Stop(f"{text!r} is no attribute; write it like plan=pro", ExitCode.USAGE)
    return name, value


def _asked_for(place: Place, name: str | None) -> Callable[[], ListKey]:
    @cache  # read by the check before; not again in the transaction that publishes
    def key() -> ListKey:
        found = _key(place, name)
        if found is None:
            raise Stop(
                "users are listed by keyed hashes; name the key that the program has as user_key: "
                f"--user-key secretstore/user-key, or {KEY_VARIABLE}",
                ExitCode.USAGE,
            )
        return found

    return key


def _key(place: Place, name: str | None) -> ListKey | None:
    named = name or os.environ.get(KEY_VARIABLE)
    if not named:
        return None
    # The agent strips what it reads too: a file often ends with a line break.
    secret = named_secret(named, what="user key", resources=place.where.resources).strip()
    if not secret:
        raise Stop(f"the user key {named} is empty")
    return ListKey.of(secret.encode())
