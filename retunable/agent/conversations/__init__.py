"""Conversations: who holds one, and what its next run is told of the earlier ones."""
