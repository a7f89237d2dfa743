"""Versions, deployments, their outcomes, and the audit that they are details of."""

from __future__ import annotations

from alembic import op

from retunable.release.store.migration import run_script

revision = "0001"
down_revision = None


def upgrade() -> None:
    run_script(op.get_bind(), __file__)
