"""What an event and the audit say of a value that stands in the configuration store.

Pure. A secret is told by its length alone, a long value by its hash, and an envelope without the
configs in it: their checksums are what tells one from another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from retunable.config.checksum import canonical, checksum
from retunable.config.fields import is_secret_name
from retunable.config.jsontext import JsonTextError, parse_json

LONGEST: Final = 16_384
_NOT_CONTENT: Final = ("signature", "published_at")


def shown_value(key: str, text: str | None) -> str | None:
    """Return what may be told of the value under a key."""
    if text is None:
        return None
    if is_secret_name(key):
        return withheld(text)
    document = _object(text)
    if document is not None:
        if "retunable" in document:
            return envelope_shown(document)
        if any(is_secret_name(name) for name in _names(document)):
            return withheld(text)
    elif text.lstrip().startswith("{"):
        return _cut(withheld(text)) if _reads_like_a_secret(text) else _cut(text)
    return _cut(text)


def envelope_shown(envelope: Mapping[str, Any]) -> str:
    """Return an envelope's content on one line, each config by the checksum that it has."""
    said = {name: part for name, part in envelope.items() if name not in _NOT_CONTENT}
    for name in ("stable", "canary"):
        variant = said.get(name)
        if isinstance(variant, dict) and "config" in variant:
            said[name] = {**variant, "config": checksum(variant["config"])}
    text = canonical(said).decode()
    return withheld(text) if any(is_secret_name(name) for name in _names(said)) else _cut(text)


def digest(text: str) -> str:
    """Return what a heartbeat says of a value: 64 bits tell two values apart, and show neither."""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]


def withheld(text: str) -> str:
    """Return what the triggers of PostgreSQL say of a secret too."""
    return f"[secret, {len(text)} characters]"


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = parse_json(text)
    except JsonTextError:
        return None
    return value if isinstance(value, dict) else None


def _names(value: object) -> list[str]:
    match value:
        case dict():
            return [*value, *(name for member in value.values() for name in _names(member))]
        case list():
            return [name for member in value for name in _names(member)]
        case _:
            return []


def _reads_like_a_secret(text: str) -> bool:
    # A broken document would show its secret all the same.
    words = text.replace("'", '"').split('"')
    return any(is_secret_name(word) for word in words if len(word) <= 64)


def _cut(text: str) -> str:
    # No database and no hash takes a NUL or a lone surrogate.
    plain = text.encode(errors="replace").decode().replace("\0", "\N{SYMBOL FOR NULL}")
    if len(plain) <= LONGEST:
        return plain
    digest = hashlib.sha256(plain.encode()).hexdigest()
    return f"[{len(plain)} characters, SHA-256 {digest}]"
