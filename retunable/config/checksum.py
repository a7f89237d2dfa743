"""Canonical bytes and checksums: what makes two configurations the same.

A checksum names its schema number and algorithm, ``1:sha256:<hex>``, and is taken over the
canonical form of the JSON as stored, never over a re-dump through a newer model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import rfc8785

SCHEMA: Final = 1
"""The schema number of the config that this package writes."""


def canonical(value: Any) -> bytes:
    """Return the RFC 8785 (JSON Canonicalization Scheme) bytes of a checked JSON value."""
    return rfc8785.dumps(value)


def checksum(value: Any) -> str:
    """Return ``1:sha256:<hex>`` over the canonical bytes of a checked JSON value."""
    return checksum_of_bytes(canonical(value))


def canonical_members(value: Mapping[str, Any]) -> dict[str, bytes]:
    """Return each member of an object in canonical form, its name included."""
    return {name: b"%b:%b" % (canonical(name), canonical(value[name])) for name in value}


def checksum_of_members(members: Mapping[str, bytes]) -> str:
    """Return the checksum of an object from ``canonical_members``; the names are ASCII.

    An object that differs in two members from one that is known costs two members, not all.
    """
    return checksum_of_bytes(b"{%b}" % b",".join(members[name] for name in sorted(members)))


def checksum_of_bytes(data: bytes) -> str:
    """Return ``1:sha256:<hex>`` over bytes that are canonical already."""
    return f"{SCHEMA}:sha256:{hashlib.sha256(data).hexdigest()}"
