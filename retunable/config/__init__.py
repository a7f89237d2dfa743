"""What an agent's behaviour is: fields, validation, layers, checksums, snapshots.

Pure: no I/O, no clock, no threads; it imports nothing of ours but the errors.
"""
