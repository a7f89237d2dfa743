"""Approvals, and the policies that ask for them."""

from __future__ import annotations

from alembic import op

from retunable.release.store.migration import run_script

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_script(op.get_bind(), __file__)
