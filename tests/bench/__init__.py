"""Measured, never asserted: CPU and latency of the sidecar beside other ways of passing a request on. `python -m tests.bench`."""
