"""The steps by which the release store's schema came to be what it is, for Alembic."""
