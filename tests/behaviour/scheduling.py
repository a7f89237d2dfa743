"""How workers share the suite: one backend each, so that its outages run beside its other tests."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from dev.ledger import BACKENDS


class ByBackend(LoadScopeScheduling):  # type: ignore[misc]
    """Everything of one backend goes to one worker."""

    def _split_scope(self, nodeid: str) -> str:
        parameters = nodeid.partition("[")[2]
        return next((name for name in BACKENDS if name in parameters), BACKENDS[0])
