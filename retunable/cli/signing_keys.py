"""Finds the key that signs releases: by its name in a secret store, or in a file of its own."""

from __future__ import annotations

from pathlib import Path

from retunable.cli.exits import ExitCode
from retunable.cli.named_secrets import named_secret
from retunable.cli.output import Output
from retunable.release.signing import SigningKey


def signing_key(name: str, *, resources: Path) -> SigningKey:
    """Return the key that ``secretstore/name`` or ``file:path`` names."""
    return SigningKey.from_pem(named_secret(name, what="signing key", resources=resources))


def show_key(name: str, *, resources: Path, output: Output) -> ExitCode:
    """Print the id of a signing key, as programs name it in ``trust=``."""
    key = signing_key(name, resources=resources)
    output.line(key.id)
    output.result({"key": key.id})
    return ExitCode.OK
