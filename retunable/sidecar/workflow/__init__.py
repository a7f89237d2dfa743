"""Workflows of the embedded sidecar: a pure engine, its tables, and the service that workers call."""
