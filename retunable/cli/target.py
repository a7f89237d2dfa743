"""Which agent a command is about, and where its store is.

The running agent's own record says both; what the person names on the command line wins.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from retunable.cli.exits import ExitCode, Stop
from retunable.cli.where import Where
from retunable.config.declaration import document_key_of
from retunable.config.fields import FIELDS
from retunable.errors import ConfigurationError
from retunable.release.store_url import DEFAULT_COMPONENT, StoreURL
from retunable.serve.address import STORE_VARIABLE, AgentRecord, running_agents
from retunable.sidecar.environment import store_url
from retunable.sidecar.files import DEFAULT_DATA_DIR, configuration_file

EMBEDDED_STORE: Final = configuration_file(DEFAULT_DATA_DIR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One agent in one environment; ``replicas`` are its running processes of this folder.

    ``agent`` and ``document_key`` are None where nothing runs and nobody named the agent.
    """

    agent: str | None
    environment: str
    prefix: str
    document_key: str | None
    replicas: tuple[AgentRecord, ...] = ()

    @property
    def document(self) -> str:
        """The full store key of the agent's document; end the command if it is not known."""
        if self.document_key is None:
            raise Stop(
                "no running agent was found here, so name the one that is meant: --agent NAME",
                ExitCode.USAGE,
            )
        return self.prefix + self.document_key

    @property
    def field_keys(self) -> dict[str, str]:
        """Full store key of each field, by field name."""
        return {field.name: self.prefix + field.key for field in FIELDS}

    @property
    def keys(self) -> tuple[str, ...]:
        """Every store key that is known to be this agent's."""
        document = () if self.document_key is None else (self.document,)
        return (*document, *self.field_keys.values())


def find_target(where: Where, records: Sequence[AgentRecord]) -> Target:
    """Choose among the running agents; end the command where several fit."""
    fitting = [record for record in records if _fits(record, where)]
    owners = {(r.agent, r.environment, r.store.prefix) for r in fitting}
    if len(owners) > 1:
        names = ", ".join(
            f"{agent} (--env {environment}{f' --prefix {prefix}' if prefix else ''})"
            for agent, environment, prefix in sorted(owners)
        )
        raise Stop(f"several agents run here, say which with --agent: {names}", ExitCode.USAGE)
    if fitting:
        first = fitting[0]
        return Target(
            agent=first.agent,
            environment=first.environment,
            prefix=first.store.prefix,
            document_key=first.store.document_key,
            replicas=tuple(fitting),
        )
    return Target(
        agent=where.agent,
        environment=where.environment or "default",
        prefix=where.prefix or "",
        document_key=(document_key_of(where.agent) or None) if where.agent else None,
    )


def running_target(where: Where) -> Target:
    """Choose among the agents that run here; end the command where none does."""
    target = find_target(where, running_agents())
    if not target.replicas:
        raise Stop("no running agent was found in .retunable/agents of this folder; start it there")
    return target


def find_store(where: Where, target: Target) -> StoreURL:
    """Say where the target's items are.

    In this order: ``--store``; the running agent's record; ``RETUNABLE_STORE``; where no agent
    runs, the file that an embedded sidecar left here; the component in the resources folder.

    Raises:
        ConfigurationError: nothing names a store that can be written.
    """
    recorded = target.replicas[0].store if target.replicas else None
    component = where.component or (recorded and recorded.component) or DEFAULT_COMPONENT
    told = where.store or (recorded and recorded.url) or os.environ.get(STORE_VARIABLE)
    if not told and recorded is None and EMBEDDED_STORE.exists() and not where.names_files:
        told = store_url(DEFAULT_DATA_DIR)
    if told:
        return StoreURL.parse(told, component=component)
    if recorded is None and not where.resources.exists() and not where.names_files:
        raise ConfigurationError(
            "nothing in this folder says where the configuration store is: go where the agent runs, "
            "or pass --store URL or --resources-path FOLDER"
        )
    from retunable.release import components  # reads YAML

    return components.store_url(components.read_resources(where.resources), component)


def check_owner(
    target: Target, store: StoreURL, where: Where, records: Sequence[AgentRecord]
) -> None:
    """End the command where its keys are those of another agent that runs here.

    Field keys do not bear the agent's name: a write for an agent that does not run would retune it.
    """
    for record in () if target.replicas else records:
        if record.store.prefix == target.prefix and _store_of(record, where) == store.text:
            raise Stop(
                f"these keys are those of {record.agent} (--env {record.environment}), which runs "
                "here: say --agent and --env as it does, or the other agent's own --prefix",
                ExitCode.USAGE,
            )


def _store_of(record: AgentRecord, where: Where) -> str | None:
    owner = Where(agent=record.agent, resources=where.resources)
    try:
        return find_store(owner, find_target(owner, [record])).text
    except ConfigurationError:
        return None


def _fits(record: AgentRecord, where: Where) -> bool:
    named = (where.agent is None) or where.agent in (record.agent, record.store.document_key)
    there = where.environment is None or record.environment == where.environment
    return named and there and (where.prefix is None or record.store.prefix == where.prefix)
