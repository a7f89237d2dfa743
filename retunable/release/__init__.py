"""What changes a configuration store: writers to Redis and PostgreSQL, and where stores are.

The data plane never imports this package; the two meet in the items alone.
"""
