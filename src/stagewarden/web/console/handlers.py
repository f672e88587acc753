"""What every handler of pages works with, and the base that gives it to them. Decides nothing, and holds nothing of any reader."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import web

    from stagewarden.clock import Clock
    from stagewarden.web.console.entry import Entry
    from stagewarden.web.console.site import Site
    from stagewarden.web.people.guard import Guard
    from stagewarden.web.people.ports import Gate, Settings


@dataclass(frozen=True, slots=True)
class Means:
    """What the console is made of."""

    gate: Gate
    site: Site
    entry: Entry
    guard: Guard
    settings: Settings
    clock: Clock


class Handlers(ABC):
    """Base of the handlers of one group of pages."""

    def __init__(self, means: Means) -> None:
        self._gate = means.gate
        self._site = means.site
        self._entry = means.entry
        self._guard = means.guard
        self._people = means.guard.people
        self._settings = means.settings
        self._clock = means.clock

    @abstractmethod
    def routes(self) -> list[web.RouteDef]:
        """The pages and forms of this group."""
