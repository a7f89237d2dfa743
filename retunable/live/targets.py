"""Which agent of this process owns which target (a configuration store and a key prefix).

Two agents or environments on one target would take each other's field keys for their own, so
the second one is refused while the first is started.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from retunable.errors import ConfigurationError

Target = tuple[str, str]
"""A store's address and a key prefix."""

_owners: dict[Target, str] = {}


@contextmanager
def claimed(target: Target, *, agent: str, environment: str) -> Iterator[None]:
    """Hold a target for one agent in one environment.

    Raises:
        ConfigurationError: another one of this process holds it.
    """
    owner = f"{agent!r} in environment {environment!r}"
    if (other := _owners.get(target)) is not None:
        raise ConfigurationError(
            f"agent {owner} would read the same keys as agent {other}; "
            "give each its own prefix: ConfigSubscription(prefix='support/')"
        )
    _owners[target] = owner
    try:
        yield
    finally:
        del _owners[target]
