"""Saves and activates as often as asked, against others that do the same; prints what it won.

python racing_program.py RELEASES CONFIGURATION NUMBER TURNS
"""

from __future__ import annotations

import json
import sys

from retunable.release.store_url import StoreURL
from tests.contract.publication.worlds import SITES, World, put, save


def main(releases: str, configuration: str, number: str, turns: str) -> None:
    """Save a version and activate it, turn by turn at another site."""
    won = []
    world = World(releases, StoreURL.parse(configuration), together=False)
    with world.plane() as plane:
        for turn in range(int(turns)):
            place, role = (int(number) + turn) % len(SITES), f"{number} in turn {turn}"
            version = save(plane, role, agent=SITES[place].agent)
            done = put(plane, SITES[place], version).deployment
            won.append(
                {
                    "site": place,
                    "role": role,
                    "version": version,
                    "generation": done.generation,
                }
            )
    print(json.dumps(won))


if __name__ == "__main__":
    main(*sys.argv[1:])
