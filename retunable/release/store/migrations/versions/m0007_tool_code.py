"""Runs say which tool code they began on, so that a rollout compares runs of one code."""

from __future__ import annotations

from alembic import op

from retunable.release.store.migration import run_script

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    run_script(op.get_bind(), __file__)
