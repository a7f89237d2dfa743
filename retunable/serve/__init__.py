"""The faces of a running agent: HTTP, and the record that says where it is.

Importing this package imports no web framework: ``http`` and ``routes`` do.
"""
