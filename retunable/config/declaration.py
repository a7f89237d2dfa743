"""What a program declares about one agent, and the store keys that follow from it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from retunable.config.agent_config import AgentConfig
from retunable.config.constraints import Constraints
from retunable.config.fields import FIELD_BY_KEY, FIELDS, SECRET_KEY, is_secret_name
from retunable.config.trust import KEY_ID, Trust
from retunable.errors import ConfigurationError

Accept = Literal["anything", "releases"]
"""``releases``: nothing but envelopes that a trusted key has signed."""

_PREFIX = re.compile(r"(?:[A-Za-z0-9._]+/)*")
_DOCUMENT_KEY = re.compile(r"[A-Za-z0-9._]+")
_ENVIRONMENT = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


@dataclass(frozen=True)
class Declaration:
    """One agent in one environment: its keys in the store, its defaults, what it allows.

    With ``trust`` the agent takes nothing but releases that one of its keys has signed.
    """

    agent: str
    defaults: AgentConfig
    constraints: Constraints
    document_key: str
    environment: str = "default"
    prefix: str = ""
    trust: Trust | None = None

    @cached_property
    def document(self) -> str:
        """The full store key of this agent's document."""
        return self.prefix + self.document_key

    @cached_property
    def field_keys(self) -> dict[str, str]:
        """Full store key of each field, by field name."""
        return {field.name: self.prefix + field.key for field in FIELDS}

    @cached_property
    def secret_key(self) -> str:
        """The full store key under which people wrongly put the model's key."""
        return self.prefix + SECRET_KEY

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """Every store key that this agent reads, the document's first."""
        return (self.document, *self.field_keys.values(), self.secret_key)


def declare(
    agent: str,
    *,
    defaults: AgentConfig,
    constraints: Constraints | None = None,
    environment: str = "default",
    prefix: str = "",
    config_key: str | None = None,
    accept: Accept = "anything",
    trust: Trust | None = None,
) -> Declaration:
    """Check what a program says about one agent and derive its document key.

    Raises:
        ConfigurationError: a name, prefix or key cannot work, the defaults break the
            constraints, or ``accept`` and the trusted keys do not go together.
    """
    constraints = constraints or Constraints()
    if not _PREFIX.fullmatch(prefix):
        raise ConfigurationError(
            f"prefix {prefix!r} must be made of [A-Za-z0-9._] and end with '/', like 'support/'"
        )
    if not _ENVIRONMENT.fullmatch(environment):
        raise ConfigurationError(
            f"environment {environment!r} must be made of [a-z0-9._-], like 'production'"
        )
    _check_trust(accept, trust)
    for violation in constraints.check(defaults):
        raise ConfigurationError(
            f"the defaults of agent {agent!r} break its constraints: "
            f"{', '.join(sorted(violation.fields))} {violation.reason}"
        )
    return Declaration(
        agent=agent,
        defaults=defaults,
        constraints=constraints,
        document_key=_document_key(agent, config_key),
        environment=environment,
        prefix=prefix,
        trust=trust,
    )


def document_key_of(agent: str) -> str:
    """Return the document key that an agent's name gives; empty where no letter is left."""
    key = re.sub(r"[^a-z0-9]+", "_", agent.lower())
    return "" if key == "_" else key


def _check_trust(accept: Accept, trust: Trust | None) -> None:
    if accept not in ("anything", "releases"):
        raise ConfigurationError(f"accept {accept!r} must be 'anything' or 'releases'")
    if accept == "releases" and not (trust and trust.keys):
        raise ConfigurationError(
            "accept='releases' takes only signed releases, so name the keys that may sign them: "
            "trust=['ed25519:…']; `retune key` shows the one of a signing key"
        )
    if accept == "anything" and trust is not None:
        raise ConfigurationError(
            "trust= names keys that nobody asks for: with accept='anything' an unsigned item "
            "is taken too; add accept='releases'"
        )
    for key in trust.keys if trust else ():
        if not KEY_ID.fullmatch(key):
            raise ConfigurationError(
                f"{key!r:.70} is no public key; one looks like 'ed25519:' and 43 characters, "
                "as `retune key` shows it"
            )


def _document_key(agent: str, config_key: str | None) -> str:
    key = document_key_of(agent) if config_key is None else config_key
    if not _DOCUMENT_KEY.fullmatch(key):
        raise ConfigurationError(
            f"agent name {agent!r} gives the document key {key!r}; "
            "pass config_key= with one made of [A-Za-z0-9._]"
        )
    if is_secret_name(key):
        raise ConfigurationError(
            f"the document key {key!r} of agent {agent!r} reads like a secret, which no store "
            "takes; pass another config_key="
        )
    if key in FIELD_BY_KEY:
        raise ConfigurationError(
            f"the document key {key!r} of agent {agent!r} is the store key of a field; "
            "pass another config_key="
        )
    return key
