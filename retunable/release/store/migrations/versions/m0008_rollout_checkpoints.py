"""Where a rollout's analysis stood, so that a controller that starts anew reads the rest alone."""

from __future__ import annotations

from alembic import op

from retunable.release.store.migration import run_script

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    run_script(op.get_bind(), __file__)
