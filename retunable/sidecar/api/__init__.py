"""Dapr's gRPC API over the stores: the only part of the sidecar that knows gRPC, but for workflows."""
