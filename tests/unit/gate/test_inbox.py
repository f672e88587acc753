"""The inbox over a running product: each hold under the tab it belongs to, for each person; numbers that agree; nothing read of any content."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from stagewarden.errors import NotAllowed, NotFound
from stagewarden.gate.inbox import SOON_NS, TABS, Selection
from stagewarden.identity.people import Caller
from tests.product import product, rulings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.product import Product


def person(name: str) -> Caller:
    """Somebody who signed in."""
    return Caller(name, None, frozenset(), "session")


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Product]:
    """The product, with two publishes held."""
    async with product(tmp_path / "house") as made:
        yield made


async def held(running: Product, number: int) -> str:
    """A publish that waits for a reviewer."""
    running.newsroom.articles[str(number)] = {"id": str(number), "status": "draft", "title": "t", "body": "", "offers": [], "claims": []}
    reply = await running.ask("POST", f"/newsroom/articles/{number}/publish")
    assert reply.json["type"].rpartition(":")[2] == "held", reply.body
    return str(reply.json["hold"]["id"])


async def listed(running: Product, name: str, **wanted: object) -> list[str]:
    """Ids of a list."""
    return [view.hold.id for view in (await running.sidecar.acts.inbox(person(name), Selection(**wanted))).views]


async def test_each_hold_under_its_tab(running: Product) -> None:
    """Mine and others are all, whoever looks; a proposal is apart until it is taken up; a decided hold is done."""
    first, second = await held(running, 1), await held(running, 2)
    for name in ("ines", "rita", "tomas"):
        tabs = {tab: await listed(running, name, tab=tab) for tab in TABS}
        assert sorted(tabs["mine"] + tabs["others"]) == sorted(tabs["all"]) == sorted((first, second)), name
        assert (bool(tabs["mine"]), tabs["proposals"], tabs["done"]) == (name == "ines", [], []), name
        counts = (await running.sidecar.acts.inbox(person(name), Selection())).counts
        assert counts == {tab: len(tabs[tab]) for tab in TABS if tab != "done"}
    assert (await running.vote(first, "ines", "reviewer", "reject")).status == 200
    assert (await listed(running, "ines"), await listed(running, "ines", tab="done")) == ([second], [first])


async def test_proposals_are_taken_up_from_their_tab(running: Product) -> None:
    """Counted by themselves, mine once they are taken up."""
    await running.person("PUT", "/agents/drafter/mode", "tomas", {"mode": "recommend_only", "reason": "observed"})
    proposal = (await running.ask("POST", "/newsroom/articles", json={"title": "x"})).json["hold"]["id"]
    assert (await listed(running, "ines", tab="proposals"), await listed(running, "ines", tab="all")) == ([proposal], [])
    await running.sidecar.acts.take_up(person("ines"), proposal)
    assert (await listed(running, "ines", tab="proposals"), await listed(running, "ines")) == ([], [proposal])


async def test_filters_are_combined_and_counted(running: Product) -> None:
    """Each leaves what it names; a choice says how many it would leave beside the others; text finds an agent, an asset, an id."""
    first, second = await held(running, 1), await held(running, 2)
    shown = await running.sidecar.acts.inbox(person("ines"), Selection())
    lot = next(iter(shown.views)).hold
    codes = [reason.code for reason in lot.reasons]
    assert (shown.choices["workflow"], shown.choices["tier"]) == ({lot.workflow: 2}, {str(lot.tier): 2})
    assert shown.choices["why"] == dict.fromkeys(sorted(codes), 2)
    for wanted, found in (
        ({"tier": str(lot.tier), "workflow": lot.workflow, "why": codes[0]}, [first, second]),
        ({"tier": "low"}, []),
        ({"workflow": "other"}, []),
        ({"channel": "nowhere"}, []),
        ({"why": "nothing"}, []),
        ({"text": "DRAFT"}, [first, second]),
        ({"text": second[-8:].lower(), "workflow": lot.workflow}, [second]),
        ({"text": "\\"}, []),
        ({"soon": True}, [first, second] if lot.expires_at_ns - lot.asked_at_ns <= SOON_NS else []),
    ):
        narrowed = await running.sidecar.acts.inbox(person("ines"), Selection(**wanted))
        assert ([view.hold.id for view in narrowed.views], narrowed.matched) == (found, len(found)), wanted
        assert narrowed.counts == shown.counts
    beside = await running.sidecar.acts.inbox(person("ines"), Selection(tier="low", workflow=lot.workflow))
    assert (beside.choices["tier"], beside.choices["workflow"]) == ({str(lot.tier): 2}, {})


async def test_one_after_another(running: Product) -> None:
    """The next that waits for this person, in the inbox's order; past the end the first; none where there is no other."""
    made = [await held(running, number) for number in (1, 2, 3)]
    after = running.sidecar.acts.next_hold
    assert [await after(person("ines"), hold) for hold in made] == [made[1], made[2], made[0]]
    await running.vote(made[1], "ines", "reviewer", "reject")
    assert [await after(person("ines"), hold) for hold in made] == [made[2], made[2], made[0]]
    await running.vote(made[0], "ines", "reviewer", "reject")
    assert [await after(person("ines"), hold) for hold in made] == [made[2], made[2], None]
    assert await after(person("rita"), made[0]) is None
    for unknown in ("h_0", "h_\0"):
        with pytest.raises(NotFound):
            await after(person("ines"), unknown)


async def test_what_is_new_is_counted(running: Product) -> None:
    """Since a moment, for this list and nobody else's."""
    await held(running, 1)
    since = running.sidecar.rooms.clock.now_ns()
    await held(running, 2)
    fresh = running.sidecar.acts.fresh
    assert [await fresh(person(name), Selection(), since) for name in ("ines", "tomas")] == [1, 0]
    assert [await fresh(person("ines"), Selection(tab=tab), since) for tab in TABS] == [1, 0, 1, 0, 0]
    assert await fresh(person("ines"), Selection(tier="low"), since) == 0


async def test_the_registry_is_read_at_every_look(running: Product) -> None:
    """Somebody who has left is asked nothing from the next look on; back again, everything: nothing of it is stored."""
    hold = await held(running, 1)
    rooms = running.sidecar.rooms
    before = rooms.registry
    left = replace(before.data.people["ines"], active=False)
    gone = dataclasses.replace(before, data=replace(before.data, people={**before.data.people, "ines": left}), revision="another")
    assert await listed(running, "ines") == [hold]
    rooms.registry = gone
    assert (await listed(running, "ines"), await listed(running, "ines", tab="others")) == ([], [hold])
    rooms.registry = before
    assert await listed(running, "ines") == [hold]


async def test_lists_read_no_payload(running: Product) -> None:
    """No content, and so no entry that somebody read some."""
    await held(running, 1)
    for tab in TABS:
        shown = await running.sidecar.acts.inbox(person("ines"), Selection(tab=tab))
        assert not any(view.hold.payload for view in shown.views)
    assert not [entry for entry in rulings(running.house.folder) if entry["kind"] == "read"]


async def test_a_program_needs_the_scope_and_nothing_waits_for_it(running: Product) -> None:
    """Without `read` nothing is told; with it, all waits on others."""
    hold = await held(running, 1)
    acts = running.sidecar.acts
    stranger, reader = (Caller(None, "robot", frozenset(scopes), "token") for scopes in ((), ("read",)))
    for refused in (acts.inbox(stranger, Selection()), acts.fresh(stranger, Selection(), 0), acts.next_hold(stranger, hold)):
        with pytest.raises(NotAllowed):
            await refused
    shown = await acts.inbox(reader, Selection(tab="others"))
    assert ([view.hold.id for view in shown.views], shown.counts["mine"]) == ([hold], 0)
