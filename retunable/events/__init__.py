"""What the data plane tells the control plane: heartbeats, changes it saw, and how runs went.

Everything here may be lost without an agent noticing; nothing here waits for the control plane.
"""
