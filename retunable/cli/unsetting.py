"""``retune unset`` and ``retune reset``: how somebody says that they mean it.

An agent takes an empty store for a loss and keeps what it has, so the last item is never just
deleted: a tombstone takes the document's place.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from retunable.cli.changes import field_named
from retunable.cli.exits import ExitCode, Stop
from retunable.cli.expectation import DocumentReset, FieldUnset
from retunable.cli.output import Output
from retunable.cli.place import Place
from retunable.cli.target import Target
from retunable.cli.write import Write
from retunable.cli.writing import Desk, carry_out, desk, the_target
from retunable.config.items import Items
from retunable.release.documents import stored_document, tombstone_text


def unset(
    place: Place, keys: Sequence[str], *, reason: str, wait: float | None, output: Output
) -> ExitCode:
    """Delete field keys; a tombstone stands for a document, and for the last key of all."""
    target = the_target(place.where)
    fields = [key for key in keys if not _is_document(target, key)]
    names = tuple(field_named(key, prefix=target.prefix).name for key in fields)
    with desk(place, target, reason=reason) as at:
        items = at.writer.read(target.keys)
        for key in (target.field_keys[name] for name in names):
            if key not in items:
                output.note(f"{key} was not set in the store")
        left = items.keys() - {target.field_keys[name] for name in names}
        if not left or len(fields) < len(keys):
            write = _with_tombstone(at, items, names)
        else:
            write = _deletions(target, items, names)
        return carry_out(at, write, wait=wait, output=output)


def reset(
    place: Place, *, confirmed: bool, reason: str, wait: float | None, output: Output
) -> ExitCode:
    """Delete every field key and put a tombstone in the document's place, in one write."""
    with desk(place, the_target(place.where), reason=reason) as at:
        items = at.writer.read(at.target.keys)
        if not confirmed:
            _ask_person(at, items, output)
        there = tuple(name for name, key in at.target.field_keys.items() if key in items)
        return carry_out(at, _with_tombstone(at, items, there), wait=wait, output=output)


def _deletions(target: Target, items: Items, names: tuple[str, ...]) -> Write:
    keys = target.field_keys
    return Write(
        action="unset",
        changes={keys[name]: None for name in names},
        expectations=tuple(FieldUnset(name, keys[name]) for name in names),
        fields=names,
        shown=items,
    )


def _with_tombstone(at: Desk, items: Items, names: tuple[str, ...]) -> Write:
    target, deletions = at.target, _deletions(at.target, items, names)
    if target.agent is None:
        raise Stop(
            "nothing of the agent would be left in the store, and only a tombstone in its name "
            "says that this is meant: add --agent NAME",
            ExitCode.USAGE,
        )
    current = items.get(target.document)
    known = [int(r.before["generation"] or 0) for r in at.replicas if r.before]
    generation = max(stored_document(current).generation, *known, 0) + 1
    text = tombstone_text(target.agent, environment=target.environment, generation=generation)
    left = items.keys() - deletions.changes.keys() - {target.document}
    return Write(
        action="reset",
        changes={**deletions.changes, target.document: text},
        expectations=(*deletions.expectations, DocumentReset(target.document, generation)),
        fields=deletions.fields,
        shown=items,
        keeps_others=bool(left),
        expect={target.document: current},
    )


def _is_document(target: Target, key: str) -> bool:
    return target.document_key is not None and key in (target.document_key, target.document)


def _ask_person(at: Desk, items: Items, output: Output) -> None:
    if output.as_json or not sys.stdin.isatty():
        raise Stop("reset removes everything that was set; say --yes", ExitCode.USAGE)
    who = f"{at.target.agent} ({at.target.environment})"
    output.line(f"This removes from {at.writer.describe()}: {', '.join(items) or 'nothing'}")
    print(f"Reset {who} to what its program says? [y/N] ", end="", flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Stop("nothing was changed")
