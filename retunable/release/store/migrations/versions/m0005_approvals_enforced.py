"""The database itself keeps back what a policy has not let pass, whoever writes the row."""

from __future__ import annotations

from alembic import op

from retunable.release.store.migration import run_script

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run_script(op.get_bind(), __file__)
