"""``retune migrate``: brings a release store to the schema that this package writes, as its owner."""

from __future__ import annotations

from retunable.cli.exits import ExitCode
from retunable.cli.output import Output
from retunable.cli.place import Place
from retunable.release.store.release_store import set_up


def migrate(place: Place, *, output: Output) -> ExitCode:
    """Apply what is missing; a store that stands there already is left as it is."""
    done = set_up(place.releases_url)
    was = f"had schema {done.before}" if done.before else "had no tables of ours"
    if done.before == done.revision:
        output.line(f"the release store at {done.store} has schema {done.revision} already")
    else:
        output.line(f"the release store at {done.store} {was}, and has {done.revision} now")
    output.result({"releases": done.store, "before": done.before, "revision": done.revision})
    return ExitCode.OK
