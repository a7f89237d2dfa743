"""A heartbeat says what stood in the store by a short hash of each item, so that a write is recognised."""

from __future__ import annotations

from alembic import op

from retunable.release.store.migration import run_script

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    run_script(op.get_bind(), __file__)
