"""The database keeps back a canary that a policy has not let pass, as it does what is activated."""

from __future__ import annotations

from alembic import op

from retunable.release.store.migration import run_script

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    run_script(op.get_bind(), __file__)
