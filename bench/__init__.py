"""Benchmarks, run by hand: ours beside the bare SDK, turn by turn in one run (`make bench`)."""
