"""Models: what a run asks of one, the providers that answer, and how a call is made."""
