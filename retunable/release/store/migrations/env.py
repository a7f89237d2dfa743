"""What Alembic runs a migration in: the connection and transaction of the caller."""

from __future__ import annotations

from alembic import context

from retunable.release.store.queries import SCHEMA_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    version_table=SCHEMA_TABLE,
    transactional_ddl=True,
)
context.run_migrations()
