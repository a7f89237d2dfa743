"""The embedded sidecar: Dapr's API on SQLite, for one machine without Dapr."""
