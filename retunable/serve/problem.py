"""What went wrong, as RFC 9457 tells it: the same facts on every face.

Maps the package's error tree to statuses. Errors that nobody foresaw stay 500 without their
text, which may hold anything.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from retunable.errors import (
    ConversationBusy,
    RetunableError,
    RunFailed,
    RunForgotten,
    RunIdConflict,
    RunTimeout,
    RunUnknown,
    Unavailable,
    UserUnusable,
)
from retunable.serve.caller import BadCaller

BLANK: Final = "about:blank"


class Problem(BaseModel):
    """An RFC 9457 problem; members beside its first four are set where they are known.

    ``type`` is more than blank where one status has several causes.
    """

    model_config = ConfigDict(extra="forbid")

    type: str = BLANK
    title: str
    status: int
    detail: str | None = None
    part: str | None = None
    reason: str | None = None
    run_id: str | None = None
    holder: str | None = None
    errors: list[dict[str, str]] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the members that are known."""
        return self.model_dump(exclude_none=True)


def problem_of(error: Exception) -> Problem:
    """Tell what went wrong, with the words that a caller can act on."""
    match error:
        case RunTimeout():
            return problem(HTTPStatus.GATEWAY_TIMEOUT, str(error), run_id=error.run_id)
        case RunForgotten():
            return problem(HTTPStatus.GONE, str(error), run_id=error.run_id)
        case RunFailed():
            return problem(
                HTTPStatus.BAD_GATEWAY, str(error), run_id=error.run_id, reason=error.reason
            )
        case RunUnknown():
            return problem(HTTPStatus.NOT_FOUND, str(error), run_id=error.run_id)
        case RunIdConflict():
            kind = "urn:retunable:run-id-conflict"
            return problem(HTTPStatus.CONFLICT, str(error), type=kind, run_id=error.run_id)
        case ConversationBusy():
            kind = "urn:retunable:conversation-busy"
            return problem(HTTPStatus.CONFLICT, str(error), type=kind, holder=error.holder)
        case Unavailable():
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), part=error.part)
        case ValidationError():
            return problem_of_faults(error.errors(include_url=False, include_context=False))
        case BadCaller() | UserUnusable():
            return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
        case RetunableError():
            return problem(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
        case _:
            return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the log of the agent says more")


def problem_of_faults(errors: Any) -> Problem:
    """Tell where a request is wrong, from pydantic's list of errors."""
    faults = [_fault(error) for error in errors]
    detail = "; ".join(f"{fault['where']}: {fault['what']}" for fault in faults)
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=faults)


def problem(status: HTTPStatus, detail: str, **members: Any) -> Problem:
    """Return a problem of a status."""
    return Problem(title=status.phrase, status=status, detail=detail, **members)


def _fault(error: Any) -> dict[str, str]:
    """Say where and what, never the value: a message may hold anything."""
    where = ".".join(str(part) for part in error["loc"])
    return {"where": _printable(where), "what": _printable(error["msg"])}


def _printable(text: str) -> str:
    """A name in a body may be half of a surrogate pair, which no encoding can send back."""
    return text.encode(errors="replace").decode()
