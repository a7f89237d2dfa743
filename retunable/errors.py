"""Every exception that Retunable raises, in one tree.

    RetunableError
    ├── ConfigurationError      what the program declared cannot work; raised at construction
    ├── Unavailable             a part outside the process is away (``part`` names it)
    │   └── NotReady            the agent never had a configuration, so it runs nothing
    ├── RunFailed               a run ended without an answer (``run_id``, ``reason``)
    ├── RunTimeout              a run did not end before its deadline; it goes on by itself
    ├── StoreWriteError         a writer could not read or change the configuration store
    ├── ProviderFailed          a model call did not work; another one may
    └── ProviderRefused         a provider serves nothing until ``setting`` is changed

A configuration that the store offers and the agent refuses is no exception: it is a
``Rejection`` in the snapshot. Errors of other libraries are mapped once, at the adapter.
"""

from __future__ import annotations

from typing import Final, Literal


class RetunableError(Exception):
    """The root of the tree."""


class ConfigurationError(RetunableError):
    """What the program declared cannot work; the message says what to write instead."""


class Unavailable(RetunableError):
    """A part outside the process is away.

    ``part`` is a stable word: ``sidecar``, ``placement``, ``scheduler``, ``state store``,
    ``configuration store``, ``component``.
    """

    def __init__(self, message: str, *, part: str) -> None:
        super().__init__(message)
        self.part = part


class NotReady(Unavailable):
    """The agent never had a configuration and nothing is remembered on disk."""


class RunFailed(RetunableError):
    """A run ended without an answer."""

    def __init__(self, message: str, *, run_id: str, reason: str) -> None:
        super().__init__(message)
        self.run_id = run_id
        self.reason = reason


class RunTimeout(RetunableError):
    """A run did not end before the caller's deadline; the run itself goes on."""

    def __init__(self, message: str, *, run_id: str) -> None:
        super().__init__(message)
        self.run_id = run_id


class StoreWriteError(RetunableError):
    """A writer could not read or change the configuration store; nothing was written."""


class ProviderFailed(RetunableError):
    """A model call did not work: the server is away, overloaded, or answered rubbish."""


class ProviderRefused(RetunableError):
    """The provider will not serve this agent until ``setting`` (key, model, request) is changed."""

    def __init__(self, message: str, *, setting: Literal["key", "model", "request"]) -> None:
        super().__init__(message)
        self.setting: Final = setting
