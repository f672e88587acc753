"""Pages of lists: stable while things come and go, bounded, and by nobody's cursors but ours."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from stagewarden.errors import Invalid
from stagewarden.modes import Kill
from stagewarden.store import Revision
from stagewarden.web.people.cursors import MOST, Asked, Cursors, page_of
from tests.fakes import held
from tests.unit.web.people.test_api import ask

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from tests.people_listener import Served

LISTS = ("/holds", "/grants", "/agents", "/kill", "/registry/revisions", "/rulings")


def fill(served: Served, count: int) -> None:
    """So many of everything that is listed."""
    gate = served.gate
    for number in range(count):
        gate.add(held(time.time_ns() + number))
        gate.engaged.append(Kill(id=f"k_{number:03d}", scope="all", by="aiko", at_ns=number, reason=""))
        gate.offer()
        gate.revisions.append(Revision(f"c_{number:03d}", "waiting", "sha256:0", f"sha256:{number}", gate.registry, number, ()))
        gate.record("deny", "route_not_listed")
    data = gate.registry.data
    agents = {f"agent-{number:03d}": data.agents["drafter-7"] for number in range(count)}
    gate.registry = type(gate.registry).of(replace(data, agents=agents))


def name(item: dict[str, Any]) -> str:
    """What an item is known by."""
    return str(item.get("id") or item["ruling"])


@pytest.mark.parametrize("path", LISTS)
async def test_every_list_is_paged(served: Served, http: ClientSession, path: str) -> None:
    """Each item once, in the order of the whole list, so many at a time; `next` is null at the end, also where the last page is full."""
    fill(served, 6)
    _, whole = await ask(served, http, "GET", f"{path}?limit={MOST}")
    query, pages = "limit=2", []
    while True:
        status, page = await ask(served, http, "GET", f"{path}?{query}")
        assert status == 200, page
        pages.append([name(item) for item in page["items"]])
        if page["next"] is None:
            break
        query = f"limit=2&cursor={page['next']}"
    assert [len(page) for page in pages] == [2, 2, 2]
    assert [one for page in pages for one in page] == [name(item) for item in whole["items"]]
    assert whole["next"] is None


async def test_a_page_is_stable_while_kills_come_and_go(served: Served, http: ClientSession) -> None:
    """What was lifted or engaged meanwhile neither repeats nor hides another."""
    fill(served, 4)
    _, first = await ask(served, http, "GET", "/kill?limit=2")
    served.gate.engaged = [kill for kill in served.gate.engaged if kill.id != "k_001"]
    served.gate.engaged.append(Kill(id="k_9", scope="all", by="aiko", at_ns=9, reason=""))
    _, second = await ask(served, http, "GET", f"/kill?limit=9&cursor={first['next']}")
    assert [name(item) for item in (*first["items"], *second["items"])] == ["k_000", "k_001", "k_002", "k_003", "k_9"]


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("query", ["limit=0", "limit=-1", f"limit={MOST + 1}", "limit=", "limit=1e1", "limit=٣", "limit=1&limit=1", "cursor="])
async def test_bounds(served: Served, http: ClientSession, path: str, query: str) -> None:
    """1 to 200, once, in plain digits; an empty cursor is none of ours."""
    status, problem = await ask(served, http, "GET", f"{path}?{query}")
    assert (status, problem["type"]) == (422, "urn:stagewarden:problem:invalid")


async def test_a_cursor_of_another_list(served: Served, http: ClientSession) -> None:
    """Or of the same with another filter, or a changed one: refused, never read as some place."""
    fill(served, 3)
    cursor = (await ask(served, http, "GET", "/holds?state=open&limit=1"))[1]["next"]
    good, _ = await ask(served, http, "GET", f"/holds?state=open&cursor={cursor}")
    others = [f"/holds?cursor={cursor}", f"/holds?state=ended&cursor={cursor}", f"/kill?cursor={cursor}", f"/holds?state=open&cursor={cursor[:-2]}"]
    assert (good, [(await ask(served, http, "GET", path))[0] for path in others]) == (200, [422] * 4)


def test_replicas_share_cursors() -> None:
    """With the same key; with another key, or by hand, there is no cursor."""
    one, other, foreign = Cursors(b"k" * 32), Cursors(b"k" * 32), Cursors(b"x" * 32)
    assert other.open("holds", one.seal("holds", "5:h_1")) == "5:h_1"
    by_hand = base64.urlsafe_b64encode(b"0" * 12 + b"5:h_1").decode()
    for cursor in (foreign.seal("holds", "5:h_1"), by_hand, "", "x", "=", "é", one.seal("holds", "5:h_1") + "\n", one.seal("holds5", ":h_1")):
        with pytest.raises(Invalid, match="cursor"):
            other.open("holds", cursor)


@pytest.mark.parametrize(
    ("place", "limit", "items", "following"),
    [(None, 2, ["a", "b"], "b"), ("b", 2, ["c", "d"], None), ("d", 2, [], None), ("bb", 1, ["c"], "c"), (None, 4, ["a", "b", "c", "d"], None)],
    ids=["first", "last-and-full", "behind-the-end", "a-place-that-is-gone", "whole"],
)
def test_a_page_of_a_list_in_memory(place: str | None, limit: int, items: list[str], following: str | None) -> None:
    """By its key, whatever the order it came in."""
    assert page_of(["c", "a", "d", "b"], str, Asked(place, limit)) == (items, following)
