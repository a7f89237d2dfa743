"""The process of ``retune control``: it hears the replicas, and finishes what others left undone.

No agent needs it: without it agents run, are retuned and released as ever.
"""
