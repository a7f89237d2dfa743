"""How a call is refused: with the codes and words of daprd 1.18.2 where an agent looks at them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, NoReturn, TypeAlias

import grpc

from retunable.errors import ConfigurationError, DataUnusable

MESSAGE_BYTES: Final = 4 * 1024 * 1024
"""What daprd takes and sends unless told otherwise: what works here works there."""

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Unary: TypeAlias = Callable[[Any, Context], Awaitable[Any]]
Streaming: TypeAlias = Callable[[Any, Context], Awaitable[None]]
Rpc: TypeAlias = Unary | Streaming


class Refusal(Exception):
    """An answer that is an error: its status code and its text."""

    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def unknown_name(block: str, name: str, known: Iterable[str], *, ending: str) -> Refusal:
    """Refuse a component name as daprd does, and list those that there are."""
    return Refusal(
        grpc.StatusCode.INVALID_ARGUMENT,
        f"{block} {name} {ending} (there are: {', '.join(known) or 'none'})",
    )


def answering(call: Unary) -> Unary:
    """Make an RPC of a method that raises; requests and replies keep to daprd's size."""

    async def answered(request: Any, context: Context) -> Any:
        try:
            check_size("received", request)
            reply = await call(request, context)
            check_size("trying to send", reply)
        except (Refusal, DataUnusable, ConfigurationError) as error:
            await refuse(context, error)
        return reply

    return answered


def streaming(call: Streaming) -> Streaming:
    """Make an RPC of a method that raises and sends its replies itself."""

    async def answered(request: Any, context: Context) -> None:
        try:
            await call(request, context)
        except (Refusal, DataUnusable, ConfigurationError) as error:
            await refuse(context, error)

    return answered


async def send(context: Context, message: Any) -> None:
    """Send one message of a stream."""
    check_size("trying to send", message)
    await context.write(message)


def check_size(what: str, message: Any) -> None:
    """Raise Refusal for a message that daprd would not carry."""
    size = message.ByteSize()
    if size > MESSAGE_BYTES:
        raise Refusal(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            f"grpc: {what} message larger than max ({size} vs. {MESSAGE_BYTES})",
        )


async def refuse(context: Context, error: Exception) -> NoReturn:
    """End a call with the error's code; a file that cannot be used is INTERNAL, as in daprd."""
    code = error.code if isinstance(error, Refusal) else grpc.StatusCode.INTERNAL
    await context.abort(code, str(error))
    raise AssertionError("abort returned")  # it raises; its annotation says otherwise
