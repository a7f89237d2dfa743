"""Runs: their records, what a process remembers of them, and what they can be asked later."""
