"""The real parts on 127.0.0.1, for `make run-dapr`, the tests and the benchmarks; never installed.

Each part is a child process that this process alone starts, signals and outlives.
"""
