"""What a row of deployments means: where a rollback goes, what is revoked. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from retunable.release.store.records import Deployment


def rollback_target(history: Sequence[Deployment]) -> int | None:
    """Return the version before the active one; None where there is none.

    ``history`` is oldest first; only what was confirmed counts. A second rollback goes one further
    back: it never brings back what a rollback left. A revoked version is passed over.
    """
    stack: list[int] = []
    revoked: frozenset[str] = frozenset()
    checksums: dict[int, str] = {}
    for deployment in history:
        if deployment.state != "confirmed":
            continue
        revoked = frozenset(revoked_of(deployment))
        if deployment.version is None or deployment.checksum is None:
            continue
        checksums[deployment.version] = deployment.checksum
        if deployment.action == "rollback" and deployment.version in stack:
            while stack[-1] != deployment.version:
                stack.pop()
        elif not stack or stack[-1] != deployment.version:
            stack.append(deployment.version)
    current = stack[-1] if stack else None
    for number in reversed(stack[:-1]):
        if number != current and checksums[number] not in revoked:
            return number
    return None


def was_active(history: Iterable[Deployment], *, checksum: str) -> bool:
    """Tell whether a version of this checksum was ever confirmed here."""
    return any(d.state == "confirmed" and d.checksum == checksum for d in history)


def revoked_of(deployment: Deployment | None) -> tuple[str, ...]:
    """Return the version checksums that a deployment's envelope names as revoked."""
    if deployment is None:
        return ()
    revoked = deployment.parts.get("revoked", ())
    return tuple(str(checksum) for checksum in revoked)
