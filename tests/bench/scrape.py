"""Reading the product's own metrics from its operations listener; counts nothing the product does not say itself."""

from __future__ import annotations

import re

from tests.bench.load import once

_SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*(?:\{.*\})?) (\S+)$", re.MULTILINE)
OK = 200


def samples(text: str) -> dict[str, float]:
    """Series, labels and all → value, in the text format of Prometheus."""
    return {name: float(value) for name, value in _SAMPLE.findall(text)}


def scrape(port: int) -> dict[str, float]:
    """What `/metrics` says now."""
    status, body = once(port, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    if status != OK:
        raise RuntimeError(f"/metrics answered {status}")
    return samples(body.decode())


def total(found: dict[str, float], family: str) -> float:
    """The sum of a family's series; raises KeyError where the product has no such family."""
    series = [value for name, value in found.items() if name.partition("{")[0] == family]
    if not series:
        raise KeyError(family)
    return sum(series)
