"""The statements of the release store by name, as they stand in ``queries.sql``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final, Literal

DatabaseKind = Literal["postgresql", "sqlite"]

SCHEMA_TABLE: Final = "release_schema"
SCHEMA_REVISION: Final = "0009"
"""The migration that this package's statements are written for."""

_NAME = re.compile(r"^-- name: ([a-z_]+)(?: \((postgresql|sqlite)\))?\n", re.MULTILINE)


@cache
def queries(kind: DatabaseKind) -> Mapping[str, str]:
    """Return every statement for one database by name; one marked for it goes before a common one."""
    text = files("retunable.release.store").joinpath("queries.sql").read_text(encoding="utf-8")
    parts = _NAME.split(text)[1:]
    triples = list(zip(parts[::3], parts[1::3], parts[2::3], strict=True))
    common = {name: body.strip() for name, only, body in triples if not only}
    return common | {name: body.strip() for name, only, body in triples if only == kind}
