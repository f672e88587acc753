"""The console's page of how votes came about: the reader's own numbers, and those of workflows they answer for. Never compares people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiohttp import web

from stagewarden.web.console.handlers import Handlers

if TYPE_CHECKING:
    from stagewarden.holds.signals import Measures
    from stagewarden.identity.people import Caller

_MINUTE = 60
SIGNALS: Final = {
    "fast": "Approvals come faster than the content can be read.",
    "unread": "Content was approved without being in view.",
    "run": "A long run of approvals with nothing else between them.",
    "always": "Everything is approved.",
    "after_hours": "Many approvals within an hour, outside working hours.",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A series of reviews in words; `numbers` empty where there are too few."""

    name: str
    numbers: tuple[tuple[str, str], ...]
    signals: tuple[str, ...]
    asks: bool  # one person more, now


class Insights(Handlers):
    """The handler."""

    def routes(self) -> list[web.RouteDef]:
        """The page."""
        return [web.get("/insights", self._entry.page(self._insights))]

    async def _insights(self, asked: web.Request, caller: Caller) -> web.Response:
        own = await self._gate.own_reviews(caller)
        workflows = [
            Row(view.workflow, numbers(view.measures), _said(view.signals), not set(view.signals).isdisjoint(view.second_person))
            for view in await self._gate.workflow_reviews(caller)
        ]
        mine = Row("you", numbers(own.measures) if own.measures.count else (), _said(own.signals), asks=False)
        return self._site.page(asked, caller, "insights.html", {"here": "insights", "mine": mine, "workflows": workflows})


def numbers(measures: Measures | None) -> tuple[tuple[str, str], ...]:
    """Each measure with its name."""
    if measures is None:
        return ()
    pace = measures.words_per_minute
    return (
        ("Votes", f"{measures.count:,}"),
        ("Approved", f"{measures.approved:,}"),
        ("First view to vote, median", "never viewed" if measures.seconds is None else duration(measures.seconds)),
        ("Words a minute, median", "not known" if pace is None else f"{pace:,.0f}"),
        ("Approved, not in view", f"{measures.unread:,}"),
        ("Longest run of approvals", f"{measures.run:,}"),
        ("Most in an hour, after hours", f"{measures.burst:,}"),
    )


def duration(seconds: float) -> str:
    """`42 s`, `3 min 5 s`."""
    minutes, rest = divmod(round(seconds), _MINUTE)
    return f"{rest} s" if not minutes else f"{minutes:,} min {rest} s" if rest else f"{minutes:,} min"


def _said(signals: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(SIGNALS[name] for name in signals)
