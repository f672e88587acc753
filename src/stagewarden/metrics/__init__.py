"""What Prometheus sees: closed label sets, a registry of our own, nothing that costs a request more than a few microseconds."""

from stagewarden.metrics.metrics import Metrics

__all__ = ["Metrics"]
