"""The command line ``retune``: a face of the control plane; nothing here runs in an agent."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``retune`` and return its exit code; typer is an extra that may be missing."""
    try:
        from retunable.cli.app import run
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("retunable"):
            raise
        print(
            f'retune needs the package {error.name!r}: pip install "retunable[cli]"',
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        return 130  # ExitCode.INTERRUPTED, whose module may not be imported yet
    return run(sys.argv[1:] if arguments is None else list(arguments))
