"""Runs one command to its exit code: what went wrong is said in the form that was asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import typer

from retunable.cli.exits import ExitCode, Stop
from retunable.cli.output import Output
from retunable.errors import ConfigurationError, RetunableError


def finish(as_json: bool, command: Callable[[Output], ExitCode]) -> None:
    """Run a command and end with its code."""
    output = Output(as_json)
    try:
        code = command(output)
    except Stop as stop:
        output.error(stop)
        code = stop.code
    except ConfigurationError as error:
        code = ExitCode.USAGE
        output.error(Stop(str(error), code))
    except RetunableError as error:
        code = ExitCode.ERROR
        output.error(Stop(str(error), code))
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("retunable"):
            raise
        code = ExitCode.ERROR
        wanted = f"this command needs the package {error.name!r}"
        output.error(Stop(f'{wanted}: pip install "retunable[cli,releases,signed]"', code))
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except BrokenPipeError:
        # As a shell counts SIGPIPE, for `set … | head` may have written: 1 would deny it.
        code = ExitCode.UNREAD
        _leave_the_pipe()
    raise typer.Exit(code)


def _leave_the_pipe() -> None:
    """Let what is still buffered go nowhere; Python would complain of it at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
