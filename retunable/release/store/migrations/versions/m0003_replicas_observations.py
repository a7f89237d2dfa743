"""Replicas by their latest heartbeat, and direct writes that replicas saw."""

from __future__ import annotations

from alembic import op

from retunable.release.store.migration import run_script

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_script(op.get_bind(), __file__)
