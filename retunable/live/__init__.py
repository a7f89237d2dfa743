"""Keeps one snapshot fresh: reads, hints, status, the last good configuration on disk.

Nothing here imports gRPC or Dapr but ``sidecar`` and ``dapr_store``, which whoever wires an
agent imports by name. This file imports nothing: a command needs ``ed25519`` and no watcher.
"""
