"""What does not work stands above the heading of every page, in people's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stagewarden.web.console.health import foot, troubles
from stagewarden.web.people.ports import Condition
from tests.product import product, until
from tests.unit.web.people.test_guard import sign_in

if TYPE_CHECKING:
    from pathlib import Path

    from aiohttp import ClientSession

    from tests.people_listener import Served


@pytest.mark.parametrize("path", ["/", "/rulings", "/agents", "/stop"])
async def test_every_page_says_it_above_the_heading(served: Served, http: ClientSession, path: str) -> None:
    """The part and what follows; no detail of ours, such as a path; nothing once it works again."""
    await sign_in(http, served)
    served.troubles["audit"] = "/var/lib/audit: no space"
    async with http.get(served.url + path) as answer:
        page = await answer.text()
    assert "The log takes no entries." in page
    assert page.index("The log takes no entries.") < page.index("<h1")
    assert "/var/lib" not in page
    served.troubles.clear()
    async with http.get(served.url + path) as answer:
        assert "The log takes no entries." not in await answer.text()


def test_the_worst_first_and_an_unknown_part_is_named() -> None:
    """Audit and state before the rest; a part that nobody found words for is said all the same."""
    assert [one.part for one in troubles(["loop", "state", "audit"])] == ["audit", "state", "loop"]
    assert troubles(["loop"])[0].says == "Not ready: loop."


@pytest.mark.parametrize(
    ("condition", "lines"),
    [
        (Condition((), "4c1e0b77aa"), ["Policy rev 4c1e0b7", "Audit takes entries", "State one replica"]),
        (Condition((), "4c1e0b77aa", 3), ["Policy rev 4c1e0b7", "Audit takes entries", "State 3 replicas"]),
        (Condition(("audit",), "ab", 1), ["Policy rev ab", "! Audit takes no entries", "State one replica"]),
        (Condition({"state": "why"}, "ab", 2), ["Policy rev ab", "Audit takes entries", "! State does not answer"]),
        (Condition(("replicas",), "ab", 2), ["Policy rev ab", "Audit takes entries", "! State 2 replicas"]),
    ],
)
def test_the_foot_says_what_a_vote_stands_on(condition: Condition, lines: list[str]) -> None:
    """Policy, log and state, each with its word, not by colour alone."""
    assert [f"{'' if part.well else '! '}{part.name} {part.says}" for part in foot(condition)] == lines


async def test_the_foot_is_the_products_own(tmp_path: Path) -> None:
    """The revision that judges, and how many share the state."""
    async with product(tmp_path) as running:
        condition = running.sidecar.condition()
        assert condition.policy == running.sidecar.rooms.decider.revision
        assert condition.replicas is None
        assert not condition.troubles


async def test_the_product_knows_within_seconds(tmp_path: Path) -> None:
    """What `/readyz` is told is what pages are told: a state that has gone, and that came back."""
    async with product(tmp_path) as running:
        readiness = running.sidecar.readiness
        await until(lambda: readiness.started, 20)
        assert dict(readiness.known) == {}
        readiness.draining = True
        await until(lambda: "process" in readiness.known, 20)
        readiness.draining = False
        await until(lambda: not readiness.known, 20)
