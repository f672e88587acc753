"""The page of how votes came about: one's own numbers, workflows without names, and no list that compares people (C2.16)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from stagewarden.holds.signals import Review
from stagewarden.registry.shapes import Signal
from stagewarden.web.console.insights import SIGNALS, duration
from tests.unit.web.console.test_pages import get
from tests.unit.web.people.test_api import ask
from tests.unit.web.people.test_guard import sign_in

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from tests.people_listener import Served

SECOND = 1_000_000_000
ONE = Review(
    person="ines", workflow="newsletter", tier="medium", decision="approve", viewed_at_ns=SECOND, at_ns=43 * SECOND, length=500, in_view=False,
    after_hours=False,
)  # fmt: skip


def filled(served: Served, count: int) -> None:
    """So many hurried approvals, half of them of somebody else."""
    served.gate.reviews = [replace(ONE, person=("ines", "samir")[number % 2], at_ns=ONE.at_ns + number * SECOND) for number in range(count)]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (42, "42 s"), (60, "1 min"), (185, "3 min 5 s"), (7200, "120 min")],
    ids=["nothing", "s", "min", "both", "long"],
)
def test_a_duration_in_words(seconds: float, words: str) -> None:
    """Seconds while they matter."""
    assert duration(seconds) == words


def test_every_signal_has_its_sentence() -> None:
    """None is shown as a bare code."""
    assert set(SIGNALS) == set(Signal.__args__)


async def test_ones_own_numbers_and_nobody_elses(served: Served, http: ClientSession) -> None:
    """A reviewer sees their own, however few, and neither a name nor a workflow."""
    filled(served, 40)
    await sign_in(http, served, "ines")
    _, page = await get(served, http, "/insights")
    assert "<dd>20</dd>" in page
    assert "samir" not in page
    assert "Workflows you answer for" not in page


async def test_nothing_yet(served: Served, http: ClientSession) -> None:
    """Nobody who has not voted is shown zeros."""
    await sign_in(http, served, "ines")
    _, page = await get(served, http, "/insights")
    assert "You have not voted lately." in page
    assert "<dd>" not in page.partition("<main")[2]


@pytest.mark.parametrize(("count", "shown"), [(29, False), (30, True)], ids=["too few", "enough"])
async def test_a_workflow_from_thirty_on(served: Served, http: ClientSession, count: int, *, shown: bool) -> None:
    """To security: numbers and what stands out, without a name; below thirty nothing but that there are too few."""
    filled(served, count)
    await sign_in(http, served, "aiko")
    _, page = await get(served, http, "/insights")
    assert ("Too few votes" in page, SIGNALS["unread"] in page) == (not shown, shown)
    assert not {"ines", "samir"} & set(page.partition("<main")[2].replace("<", " ").replace(">", " ").split())


async def test_the_api_says_the_same(served: Served, http: ClientSession) -> None:
    """Numbers and signals as JSON; a program has none of its own."""
    filled(served, 30)
    _, told = await ask(served, http, "GET", "/reviews", "aiko")
    assert told["you"]["measures"]["count"] == 0
    (row,) = told["items"]
    assert (row["workflow"], row["measures"]["count"], row["signals"]) == ("newsletter", 30, ["unread", "always"])
    _, told = await ask(served, http, "GET", "/reviews", "reader")
    assert told == {"you": None, "items": [], "next": None}
