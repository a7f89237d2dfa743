"""`python -m dev.dapr`: print the folder of Dapr's programs, building them first if need be."""

from __future__ import annotations

import sys

from dev.dapr import DaprMissing, ensure_dapr


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        print(ensure_dapr(say=_to_stderr).daprd.parent)
    except DaprMissing as missing:
        sys.exit(str(missing))
