"""One activation in a process of its own, that says at which point it is and waits there.

    python publisher_program.py RELEASES CONFIGURATION VERSION POINT

At POINT it prints it and stops itself; whoever started it kills it or lets it go on. Without a point
of that name it prints how the activation ended.
"""

from __future__ import annotations

import os
import signal
import sys

from retunable.release.publishing.activation import Wish, activate
from retunable.release.store.points import Point
from retunable.release.store_url import StoreURL
from tests.contract.publication.worlds import SITE, World


def main(releases: str, configuration: str, version: str, waits_at: str) -> None:
    """Activate; see above."""

    def reached(point: Point) -> None:
        if point.value == waits_at:
            print(point.value, flush=True)
            os.kill(os.getpid(), signal.SIGSTOP)

    world = World(releases, StoreURL.parse(configuration), together=False)
    with world.plane(reached=reached) as plane:
        outcome = activate(plane, SITE, Wish(version=int(version), reason="by a process"))
    print(outcome, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
