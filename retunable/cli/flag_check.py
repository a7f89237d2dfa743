"""Asks the running program whether it could run with the flags that a command would publish.

As agents do it themselves: each flag alone above each version. Agents refuse the whole document for
one flag that they cannot take, and every later one that carries it on. A version by itself was
looked at when it was saved.
"""

from __future__ import annotations

from collections.abc import Sequence

from retunable.cli.exits import ExitCode, Stop
from retunable.cli.program_check import Candidate, ProgramCheck, ProgramFault, ask_program
from retunable.cli.releasing import Desk
from retunable.config.agent_config import AgentConfig
from retunable.config.constraints import Constraints
from retunable.config.fieldset import complete_config
from retunable.config.flags import Flag, parse_flags, with_flags
from retunable.config.rejection import Refused
from retunable.release.publishing.flags import Flags, FlagsChange, flags_of
from retunable.release.publishing.outcomes import FlagRefused
from retunable.release.publishing.settling import configs_of
from retunable.release.store import deployments, versions


def check_change(desk: Desk, change: FlagsChange) -> ProgramCheck | None:
    """Check other flags above what is active; None where there is nothing to ask.

    What the change itself refuses is said where it is published.
    """
    standing = flags_of(desk.plane, desk.site)
    flags = change(standing)
    if isinstance(flags, FlagRefused):
        return None
    return _check(desk, flags, _active(desk), standing=standing)


def check_version(desk: Desk, number: int) -> ProgramCheck | None:
    """Check the standing flags above another version; None where there is nothing to ask."""
    with desk.plane.store.snapshot() as work:
        version = versions.version(work, desk.site.agent, number)
        configs = [versions.parsed_config(work, version)] if version else []
    standing = flags_of(desk.plane, desk.site)
    return _check(desk, standing, configs, standing=standing)


def _check(
    desk: Desk, flags: Flags, configs: Sequence[AgentConfig], *, standing: Flags
) -> ProgramCheck | None:
    candidates = [
        Candidate(with_flags(config, (flag,)).to_json(), flag.name)
        for flag in _parsed(flags)
        for config in configs
    ]
    if not candidates:
        return None
    match ask_program(candidates, desk.target.replicas):
        case ProgramFault() as fault:
            stands = any(flag["name"] == fault.flag for flag in standing)
            mend = f"; retune flag set or remove {desk.site.agent} {fault.flag}" if stands else ""
            raise Stop(
                f"nothing was published: {fault}{mend}",
                ExitCode.USAGE,
                outcome="flag_refused",
                flag=fault.flag,
                field=fault.field,
            )
        case ProgramCheck() as check:
            return check


def _active(desk: Desk) -> list[AgentConfig]:
    site = desk.site
    with desk.plane.store.snapshot() as work:
        active = deployments.active(work, site.agent, environment=site.environment)
        configs = configs_of(work, active).values() if active else ()
    return [complete_config(config) for config in configs]


def _parsed(flags: Flags) -> tuple[Flag, ...]:
    try:
        return parse_flags(list(flags), variants=(), constraints=Constraints())
    except Refused as refused:
        raise Stop(
            f"nothing was published: {refused}", ExitCode.USAGE, outcome="flag_refused"
        ) from refused
