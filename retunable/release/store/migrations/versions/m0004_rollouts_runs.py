"""Rollouts and their steps, and what replicas tell of runs."""

from __future__ import annotations

from alembic import op

from retunable.release.store.migration import run_script

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run_script(op.get_bind(), __file__)
