"""One ``set`` in a process of its own, that says at which point it is and waits there.

python tuning_program.py RELEASES CONFIGURATION KEY VALUE POINT
"""

from __future__ import annotations

import os
import signal
import sys

from retunable.errors import StoreWriteError
from retunable.release.publishing.tuning import Tuning, tune
from retunable.release.store.points import Point
from retunable.release.store_url import StoreURL
from tests.contract.publication.worlds import SITE, World


def main(releases: str, configuration: str, key: str, value: str, waits_at: str) -> None:
    """Set one field key; at the point it stops itself until somebody kills it or lets it go on."""

    def reached(point: Point) -> None:
        if point.value == waits_at:
            print(point.value, flush=True)
            os.kill(os.getpid(), signal.SIGSTOP)

    world = World(releases, StoreURL.parse(configuration), together=False)
    tuning = Tuning(action="set", changes={key: value}, fields=("role",), reason="by a process")
    with world.plane(reached=reached) as plane:
        try:
            tune(plane, SITE, tuning)
        except StoreWriteError as error:
            print(f"refused: {error}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
