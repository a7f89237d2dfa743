"""Serves an agent's flags to the program's own code through the OpenFeature SDK.

    from openfeature import api
    from retunable.openfeature import RetunableProvider

    api.set_provider(RetunableProvider(agent))
    if api.get_client().get_boolean_value("beta-search", False, EvaluationContext("user-1")):

A flag is a boolean here, and says what a run of the same user, attributes and conversation gets: one
that is off is False, whatever default the caller names. What cannot be answered is an error with
the caller's default, as the SDK's specification has it. Needs the extra ``openfeature``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, assert_never

from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent, ProviderEventDetails
from openfeature.exception import ErrorCode, ProviderNotReadyError
from openfeature.flag_evaluation import FlagResolutionDetails, Reason
from openfeature.provider import AbstractProvider, Metadata

from retunable.config.resolve import Resolution
from retunable.config.split import is_usable
from retunable.config.targeting import FlagDecision, FlagReason
from retunable.errors import NotReady
from retunable.live.health import Status

if TYPE_CHECKING:
    from openfeature.flag_evaluation import FlagValueType

    from retunable.agent.status import AgentStatus
    from retunable.config.snapshot import Snapshot
    from retunable.live.callbacks import Callback

NAME: Final = "Retunable"
CONVERSATION: Final = "conversation_id"
"""The attribute that names a conversation, which decides for a caller without a targeting key."""

Value = TypeVar("Value")


class HasFlags(Protocol):
    """What the provider asks of an agent; ``DurableAgent`` is one."""

    @property
    def status(self) -> AgentStatus: ...

    def resolve(
        self,
        *,
        user_id: str | None = None,
        conversation_id: str | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> Resolution: ...

    def on_status(self, callback: Callback[AgentStatus]) -> Callable[[], None]: ...
    def on_change(self, callback: Callback[Snapshot]) -> Callable[[], None]: ...


class RetunableProvider(AbstractProvider):
    """The flags of one agent, evaluated in this process; it may be set before the agent starts."""

    def __init__(self, agent: HasFlags) -> None:
        super().__init__()
        self._agent = agent
        self._undo: list[Callable[[], None]] = []

    def get_metadata(self) -> Metadata:
        """Return the provider's name."""
        return Metadata(name=NAME)

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Follow the agent.

        Raises:
            ProviderNotReadyError: it has no configuration yet; an event tells when it has.
        """
        del evaluation_context
        api.add_handler(ProviderEvent.PROVIDER_READY, self._told_ready)
        self._undo = [
            self._agent.on_status(self._status_changed),
            self._agent.on_change(self._flags_changed),
            lambda: api.remove_handler(ProviderEvent.PROVIDER_READY, self._told_ready),
        ]
        status = self._agent.status
        if status.state not in _ANSWERS:
            raise ProviderNotReadyError(f"{status.state.name}: {status.detail}")

    def shutdown(self) -> None:
        """Follow the agent no more."""
        while self._undo:
            self._undo.pop()()

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """Tell whether a caller has a flag, and why."""
        context = evaluation_context or EvaluationContext()
        key = context.targeting_key or None
        if key is not None and not is_usable(key):
            said = "a targeting key has 1 to 256 bytes of UTF-8"
            return _failed(default_value, ErrorCode.INVALID_CONTEXT, said)
        attributes = _attributes(context)
        try:
            found = self._agent.resolve(
                user_id=key, conversation_id=attributes.get(CONVERSATION), attributes=attributes
            )
        except NotReady as error:
            return _failed(default_value, ErrorCode.PROVIDER_NOT_READY, str(error))
        decision = next((one for one in found.flags if one.name == flag_key), None)
        if decision is None:
            return _failed(default_value, ErrorCode.FLAG_NOT_FOUND, f"there is no flag {flag_key}")
        if decision.reason is FlagReason.NOBODY:
            said = f"flag {flag_key} is for some users: name one as targeting key"
            return _failed(default_value, ErrorCode.TARGETING_KEY_MISSING, said)
        stale = self._agent.status.state is Status.STALE
        return FlagResolutionDetails(
            value=decision.on,
            variant="on" if decision.on else "off",
            reason=Reason.STALE if stale else _reason(decision.reason),
            flag_metadata=_metadata(decision, found),
        )

    def resolve_string_details(
        self,
        flag_key: str,
        default_value: str,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[str]:
        """Say that a flag is a boolean."""
        return self._of_another_type(flag_key, default_value, evaluation_context)

    def resolve_integer_details(
        self,
        flag_key: str,
        default_value: int,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[int]:
        """Say that a flag is a boolean."""
        return self._of_another_type(flag_key, default_value, evaluation_context)

    def resolve_float_details(
        self,
        flag_key: str,
        default_value: float,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[float]:
        """Say that a flag is a boolean."""
        return self._of_another_type(flag_key, default_value, evaluation_context)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        """Say that a flag is a boolean."""
        return self._of_another_type(flag_key, default_value, evaluation_context)

    def _of_another_type(
        self, flag_key: str, default_value: Value, context: EvaluationContext | None
    ) -> FlagResolutionDetails[Value]:
        asked = self.resolve_boolean_details(flag_key, False, context)
        if asked.error_code in (ErrorCode.FLAG_NOT_FOUND, ErrorCode.PROVIDER_NOT_READY):
            return _failed(default_value, asked.error_code, asked.error_message or "")
        return _failed(default_value, ErrorCode.TYPE_MISMATCH, f"flag {flag_key} is a boolean")

    async def _status_changed(self, old: AgentStatus | None, new: AgentStatus) -> None:
        if old is None or old.state is not new.state:
            self._tell(new)

    def _told_ready(self, details: EventDetails) -> None:
        """Correct the SDK, which says READY of whatever could be initialized."""
        status = self._agent.status
        if details.provider_name == NAME and status.state is not Status.READY:
            self._tell(status)

    def _tell(self, new: AgentStatus) -> None:
        details = ProviderEventDetails(message=new.detail)
        match new.state:
            case Status.READY:
                self.emit_provider_ready(details)
            case Status.STALE:
                self.emit_provider_stale(details)
            case Status.NOT_READY:
                details.error_code = ErrorCode.PROVIDER_NOT_READY
                self.emit_provider_error(details)
            case Status.ERROR:
                details.error_code = ErrorCode.GENERAL
                self.emit_provider_error(details)
            case _ as unreachable:
                assert_never(unreachable)

    async def _flags_changed(self, old: Snapshot | None, new: Snapshot) -> None:
        before = {flag.name: flag for flag in old.flags} if old else {}
        after = {flag.name: flag for flag in new.flags}
        names = sorted(before.keys() | after.keys())
        changed = [name for name in names if before.get(name) != after.get(name)]
        if changed:
            self.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=changed))


_ANSWERS: Final = frozenset({Status.READY, Status.STALE})


def _reason(reason: FlagReason) -> Reason:
    match reason:
        case FlagReason.LISTED | FlagReason.MATCHED:
            return Reason.TARGETING_MATCH
        case FlagReason.IN_PERCENT | FlagReason.OUTSIDE_PERCENT:
            return Reason.SPLIT
        case FlagReason.DISABLED | FlagReason.EXPIRED:
            return Reason.DISABLED
        case FlagReason.NOT_MATCHED | FlagReason.NOT_LISTED:
            return Reason.DEFAULT
        case FlagReason.OTHER_KEY | FlagReason.CONFLICT | FlagReason.NOBODY:
            return Reason.UNKNOWN
        case _ as unreachable:
            assert_never(unreachable)


def _attributes(context: EvaluationContext) -> dict[str, str]:
    """Return what rules can compare: texts as they are, yes, no and whole numbers as in JSON."""
    attributes: dict[str, str] = {}
    for name, value in context.attributes.items():
        if isinstance(value, bool):
            attributes[name] = "true" if value else "false"
        elif isinstance(value, str | int):
            attributes[name] = str(value)
    return attributes


def _metadata(decision: FlagDecision, found: Resolution) -> dict[str, bool | int | float | str]:
    effective = found.effective
    known: dict[str, Any] = {
        "reason": decision.reason.value,
        "variant": effective.variant,
        "version": effective.version,
        "generation": effective.generation,
        "rollout": effective.rollout,
    }
    return {name: value for name, value in known.items() if value is not None}


def _failed(default: Value, code: ErrorCode, said: str) -> FlagResolutionDetails[Value]:
    return FlagResolutionDetails(
        value=default, reason=Reason.ERROR, error_code=code, error_message=said
    )
