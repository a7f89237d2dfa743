"""Rollouts, as the control plane sees them: what happened, what it proves, what to do next.

Pure: events and counts in, verdicts out. Who gets what is decided in ``config`` by the data
plane; the two meet only in the envelope. ``control.rollouts`` feeds it and does what it says.
"""
