"""Saves and activates as often as asked, against others that do the same; prints what it won.

python racing_program.py RELEASES CONFIGURATION NUMBER TURNS
"""

from __future__ import annotations

import json
import sys

from retunable.release.store_url import StoreURL
from tests.contract.publication.worlds import SITE, World, put, save


def main(releases: str, configuration: str, number: str, turns: str) -> None:
    """Save a version and activate it, turn by turn."""
    saved, generations = [], []
    world = World(releases, StoreURL.parse(configuration), together=False)
    with world.plane() as plane:
        for turn in range(int(turns)):
            version = save(plane, f"{number} in turn {turn}")
            saved.append(version)
            generations.append(put(plane, SITE, version).deployment.generation)
    print(json.dumps({"saved": saved, "generations": generations}))


if __name__ == "__main__":
    main(*sys.argv[1:])
