"""`process_*` as prometheus_client has them, over the house and its workers: time, memory and descriptors add up; the rest is the house's."""

from __future__ import annotations

import resource
from functools import partial
from typing import TYPE_CHECKING

from prometheus_client import ProcessCollector
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client.core import Metric

_TIME = "process_cpu_seconds"
_ADDED_UP = ("process_virtual_memory_bytes", "process_resident_memory_bytes", _TIME, "process_open_fds")


class Processes(Collector):
    """This process, and the workers whose ids `workers` gives at a scrape."""

    def __init__(self) -> None:
        self.workers: Callable[[], Iterable[int]] | None = None

    def collect(self) -> Iterable[Metric]:
        """For prometheus_client. What workers that have ended used is their parent's to tell: the time never goes back."""
        found = [*ProcessCollector(registry=None).collect()]
        if self.workers is None:
            return found
        more: dict[str, float] = {_TIME: _ended()}
        for pid in self.workers():
            for metric in ProcessCollector(registry=None, pid=partial(int, pid)).collect():
                more[metric.name] = more.get(metric.name, 0.0) + metric.samples[0].value
        for metric in found:
            if metric.name in _ADDED_UP:
                own = metric.samples[0]
                metric.samples = [own._replace(value=own.value + more.get(metric.name, 0.0))]
        return found


def _ended() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
