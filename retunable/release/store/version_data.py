"""The bytes of a version: made once when it is saved, read for ever. Pure.

The checksum is over the bytes as stored. Reading goes by their schema number, never by what today's
model would have written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from retunable.config.agent_config import AgentConfig
from retunable.config.checksum import SCHEMA, canonical, checksum_of_bytes
from retunable.config.constraints import Constraints
from retunable.config.document import MAX_DOCUMENT_BYTES
from retunable.config.fieldset import check_constraints, complete_config
from retunable.config.jsontext import JsonTextError, check_json, parse_json
from retunable.config.rejection import Refused
from retunable.errors import ReleaseDamaged
from retunable.release.documents import json_text

RESERVED_BYTES: Final = 16_384
"""Of an envelope's 1 MiB, for all that is not the config: names, a signature, flags, and about 200
revoked checksums of 73 bytes."""
MAX_CONFIG_BYTES: Final = MAX_DOCUMENT_BYTES - RESERVED_BYTES


@dataclass(frozen=True, slots=True)
class VersionData:
    """What is stored of a config."""

    schema: int
    checksum: str
    config: bytes


@dataclass(frozen=True, slots=True)
class Invalid:
    """Nothing was saved: what is wrong with the offered version, and in which field if in one."""

    reason: str
    field: str | None = None


def version_data(value: Mapping[str, Any], constraints: Constraints) -> VersionData | Invalid:
    """Check a complete config (every field, tools as a list) and return what to store of it."""
    try:
        check_json(dict(value))
        config = complete_config(value)
        check_constraints(config, constraints)
    except JsonTextError as error:
        return Invalid(str(error))
    except Refused as refusal:
        return Invalid(refusal.reason, refusal.field)
    stored = config.to_json()
    # As an envelope carries it, where every '|' takes six bytes.
    size = len(json_text(stored).encode())
    if size > MAX_CONFIG_BYTES:
        return Invalid(
            f"the config takes {size:,} bytes in an envelope, {MAX_CONFIG_BYTES:,} are allowed; "
            "shorten a prompt, or name a longer text where the agent can fetch it"
        )
    data = canonical(stored)
    return VersionData(SCHEMA, checksum_of_bytes(data), data)


def stored_config(data: VersionData, *, place: str) -> dict[str, Any]:
    """Return a version's config as the JSON object that was saved.

    Raises:
        ReleaseDamaged: the bytes are not those of the checksum, or of a schema that this package
            does not know; ``place`` says which version it is.
    """
    if checksum_of_bytes(data.config) != data.checksum:
        raise ReleaseDamaged(
            f"{place} is not what was saved: its checksum is {data.checksum}, its bytes have "
            f"{checksum_of_bytes(data.config)}; run: retune audit --verify",
            place=place,
        )
    if data.schema > SCHEMA:
        raise ReleaseDamaged(
            f"{place} has schema {data.schema}, this package knows {SCHEMA}; install a newer one",
            place=place,
        )
    value = parse_json(data.config.decode())
    if not isinstance(value, dict):
        raise ReleaseDamaged(f"{place} is no JSON object", place=place)
    return value


def agent_config(value: Mapping[str, Any]) -> AgentConfig:
    """Return a stored version's JSON object as today's config."""
    return complete_config(value)
