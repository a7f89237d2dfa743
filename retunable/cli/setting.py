"""``retune set``: one field key, or a document from a file."""

from __future__ import annotations

import sys
from pathlib import Path

from retunable.cli.changes import document_change, field_change
from retunable.cli.exits import ExitCode, Stop
from retunable.cli.expectation import DocumentSet, FieldSet
from retunable.cli.output import Output
from retunable.cli.place import Place
from retunable.cli.write import Write
from retunable.cli.writing import carry_out, desk, the_target
from retunable.release.documents import stored_document


def set_field(
    place: Place, key: str, text: str, *, reason: str, wait: float | None, output: Output
) -> ExitCode:
    """Write one field key."""
    target = the_target(place.where)
    field_change(key, text, prefix=target.prefix, store="other")  # before any store is asked
    with desk(place, target, reason=reason) as at:
        change = field_change(key, text, prefix=target.prefix, store=at.writer.kind)
        full_key = target.field_keys[change.field.name]
        write = Write(
            action="set",
            changes={full_key: change.text},
            expectations=(FieldSet(change.field.name, full_key, change.value, change.text),),
            fields=(change.field.name,),
            wanted={change.field.name: change.value},
        )
        return carry_out(at, write, wait=wait, output=output)


def set_document(
    place: Place, file: str, *, force: bool, reason: str, wait: float | None, output: Output
) -> ExitCode:
    """Write a document; over an active release a plain batch needs ``force``."""
    target = the_target(place.where)
    key, change = target.document, document_change(_text_of(file), target)
    with desk(place, target, reason=reason, document_alone=True) as at:
        current = at.writer.read([key]).get(key)
        if change.plain and not force and stored_document(current).kind == "envelope":
            raise Stop(
                f"{key} holds an active release, which a plain batch would replace without a "
                "version; say --force if that is meant"
            )
        write = Write(
            action="set",
            changes={key: change.text},
            expectations=(DocumentSet(key, change.values, change.text, target.field_keys),),
            fields=tuple(change.values),
            wanted=change.values,
            shown={} if current is None else {key: current},
            expect={key: current},
        )
        return carry_out(at, write, wait=wait, output=output)


def _text_of(file: str) -> str:
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise Stop(f"cannot read {file}: {error.strerror}", ExitCode.USAGE) from error
    except UnicodeDecodeError as error:
        raise Stop(f"{file} is not UTF-8 text", ExitCode.USAGE) from error
