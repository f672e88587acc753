"""The only wiring: Config → rooms → listeners, their lifetimes, and the processes they live in. Nobody else builds anybody."""

from stagewarden.app.collector import settle
from stagewarden.app.house import HouseEnded, Workers
from stagewarden.app.sidecar import Sidecar, running
from stagewarden.app.worker import work

__all__ = ["HouseEnded", "Sidecar", "Workers", "running", "settle", "work"]
