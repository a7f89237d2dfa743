"""Every exception that Retunable raises, in one tree.

    RetunableError
    ├── ConfigurationError      what the program declared cannot work; raised at construction
    ├── Unavailable             a part outside the process is away (``part`` names it)
    │   └── NotReady            the agent never had a configuration, so it runs nothing
    ├── UserUnusable            a user id that nobody can be split by; give another or none
    ├── RunFailed               a run ended without an answer (``run_id``, ``reason``)
    │   └── RunForgotten        its conversation was forgotten
    ├── RunTimeout              a run did not end before its deadline; it goes on by itself
    ├── RunIdConflict           the run id stands for another input (``run_id``)
    ├── RunUnknown              no run of this id is kept (``run_id``)
    ├── ConversationBusy        another run of the conversation goes on (``holder`` is its id)
    ├── StoreWriteError         a writer could not read or change the configuration store
    ├── DataUnusable            a file of the embedded sidecar cannot be used (``path``)
    │   └── DatabaseUnavailable a database in it cannot be used now (``reason``)
    ├── SidecarRuns             another embedded sidecar serves the app id (``pid``, ports)
    ├── ReleaseStoreError       the release store is away, refuses, or is not set up
    │   └── ReleaseDamaged      what it holds is not what was recorded (``place`` names the row)
    ├── EventError              what came as an event is none (``field`` names what is wrong)
    ├── ProviderFailed          a model call did not work; another one may
    └── ProviderRefused         a provider serves nothing until ``setting`` is changed

A configuration that the store offers and the agent refuses is no exception: it is a
``Rejection`` in the snapshot. Errors of other libraries are mapped once, at the adapter.
"""

from __future__ import annotations

from pathlib import Path
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


class UserUnusable(RetunableError):
    """A user id is empty, longer than 256 bytes of UTF-8, or holds half of a surrogate pair."""

    def __init__(self, user_id: str) -> None:
        super().__init__(
            f"a user id of {len(user_id)} characters cannot be used: give 1 to 256 bytes of UTF-8, "
            "or none for a caller without a user"
        )


class RunFailed(RetunableError):
    """A run ended without an answer."""

    def __init__(self, message: str, *, run_id: str, reason: str) -> None:
        super().__init__(message)
        self.run_id = run_id
        self.reason = reason

    @staticmethod
    def of(run_id: str, reason: str) -> RunFailed:
        """Say that a run failed, and why."""
        return RunFailed(f"run {run_id} failed: {reason}", run_id=run_id, reason=reason)


class RunForgotten(RunFailed):
    """The run's conversation was forgotten, and its answer with it."""

    def __init__(self, run_id: str) -> None:
        message = f"run {run_id} was forgotten with its conversation"
        super().__init__(message, run_id=run_id, reason="forgotten")


class RunIdConflict(RetunableError):
    """The run id was used before for another message, conversation, user or attributes."""

    def __init__(self, run_id: str) -> None:
        super().__init__(
            f"run id {run_id!r} stands for another input already; use a new id for a new message"
        )
        self.run_id = run_id


class RunUnknown(RetunableError):
    """No run of this id is kept by this agent."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"this agent keeps no run {run_id!r}; `retune runs` lists the latest")
        self.run_id = run_id


class ConversationBusy(RetunableError):
    """Another run of the conversation goes on; try again when it is over."""

    def __init__(self, conversation_id: str, *, holder: str) -> None:
        super().__init__(
            f"conversation {conversation_id!r} is busy with run {holder}; "
            "wait for it, or stop it, and try again"
        )
        self.conversation_id = conversation_id
        self.holder = holder


class RunTimeout(RetunableError):
    """A run did not end before the caller's deadline; the run itself goes on."""

    def __init__(self, message: str, *, run_id: str) -> None:
        super().__init__(message)
        self.run_id = run_id


class StoreWriteError(RetunableError):
    """A writer could not read or change the configuration store; nothing was written."""


class DataUnusable(RetunableError):
    """A file of the embedded sidecar cannot be used."""

    def __init__(self, message: str, *, path: Path) -> None:
        super().__init__(message)
        self.path = path


class DatabaseUnavailable(DataUnusable):
    """A database cannot be read or written now; nothing of what was asked happened.

    ``reason``: ``busy`` and ``full`` may pass, ``read-only`` and ``broken`` need somebody;
    ``closed``: the sidecar is stopping.
    """

    def __init__(
        self,
        message: str,
        *,
        path: Path,
        reason: Literal["busy", "full", "read-only", "broken", "closed"],
    ) -> None:
        super().__init__(message, path=path)
        self.reason: Final = reason


class SidecarRuns(RetunableError):
    """Another embedded sidecar serves this app id from the same folder; its ports, 0 if unknown."""

    def __init__(
        self, app_id: str, *, folder: Path, pid: int = 0, grpc_port: int = 0, http_port: int = 0
    ) -> None:
        who = f"pid {pid}, gRPC port {grpc_port}, HTTP port {http_port}" if pid else "just started"
        super().__init__(
            f"an embedded sidecar for app id {app_id!r} runs already on {folder} ({who}); "
            f"use it (DAPR_GRPC_PORT={grpc_port} DAPR_HTTP_PORT={http_port}), stop it, or take "
            "another --app-id or --data-dir"
        )
        self.app_id = app_id
        self.pid = pid
        self.grpc_port = grpc_port
        self.http_port = http_port


class ReleaseStoreError(RetunableError):
    """The release store could not be read or written. Nothing was, unless the message says otherwise."""


class ReleaseDamaged(ReleaseStoreError):
    """What the release store holds is not what was recorded; nothing is run or published from it."""

    def __init__(self, message: str, *, place: str) -> None:
        super().__init__(message)
        self.place = place


class EventError(RetunableError):
    """What came as an event is none; it is told to nobody."""

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message)
        self.field = field


class ProviderFailed(RetunableError):
    """A model call did not work: the server is away, overloaded, or answered rubbish.

    ``transient`` says that the same call may work in a while, and is what makes it tried again;
    ``retry_after_seconds`` is when the server wants that, where it said so.
    """

    def __init__(
        self,
        message: str,
        *,
        transient: bool = False,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.transient = transient
        self.retry_after_seconds = retry_after_seconds


class ProviderRefused(RetunableError):
    """The provider will not serve this agent until ``setting`` (key, model, request) is changed."""

    def __init__(self, message: str, *, setting: Literal["key", "model", "request"]) -> None:
        super().__init__(message)
        self.setting: Final = setting
