"""The inbox over a running product: each hold under the tab it belongs to, for each person; numbers that agree.

Of any content nothing is read but what it is called, for those to whom its own page would show it.
"""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from sqlalchemy import event, select
from sqlalchemy.engine import Engine

from stagewarden.errors import AuditUnavailable, NotAllowed, NotFound
from stagewarden.gate.inbox import SOON_NS, TABS, Selection
from stagewarden.gate.people import Turn
from stagewarden.identity.people import Caller
from stagewarden.store.tables import views
from tests.product import product, rulings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.product import Product

READER, AUDITOR = (Caller(None, name, frozenset(scopes), "token") for name, scopes in (("reader", ("read",)), ("auditor", ("read", "payloads"))))


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

    async def after(who: Caller, hold: str) -> str | None:
        found = await running.sidecar.acts.next_hold(who, hold)
        assert found is None or not found.request.body, "it was not opened, so nothing of it is read"
        return None if found is None else found.id

    assert [await after(person("ines"), hold) for hold in made] == [made[1], made[2], made[0]]
    await running.vote(made[1], "ines", "reviewer", "reject")
    assert [await after(person("ines"), hold) for hold in made] == [made[2], made[2], made[0]]
    await running.vote(made[0], "ines", "reviewer", "reject")
    assert [await after(person("ines"), hold) for hold in made] == [made[2], made[2], None]
    assert await after(person("rita"), made[0]) is None
    for unknown in ("h_0", "h_\0"):
        with pytest.raises(NotFound):
            await after(person("ines"), unknown)


async def test_where_a_hold_stands_among_those_that_wait(running: Product) -> None:
    """Counted from 1 in the inbox's order, with its neighbours; nothing for whom it does not wait, and none of what has ended."""
    first, second, third = [await held(running, number) for number in (1, 2, 3)]
    turn = running.sidecar.acts.turn
    assert [await turn(person("ines"), hold) for hold in await listed(running, "ines")] == [
        Turn(1, 3, None, second), Turn(2, 3, first, third), Turn(3, 3, second, None),
    ]  # fmt: skip
    await running.vote(second, "ines", "reviewer", "reject")
    assert [await turn(person("ines"), hold) for hold in (first, second, third)] == [Turn(1, 2, None, third), None, Turn(2, 2, first, None)]
    for caller, hold in ((person("rita"), first), (READER, first), (person("ines"), "h_0"), (person("ines"), "h_\0")):
        assert await turn(caller, hold) is None


async def test_one_human_being_has_one_day_s_work(running: Product) -> None:
    """Under another id of theirs somebody is told what they did last, and how much of high tier they decided: the work was theirs."""
    hold = await held(running, 1)
    assert (await running.vote(hold, "ines", "reviewer", "reject")).status == 200
    seen = {name: await running.sidecar.acts.inbox(person(name), Selection()) for name in ("ines", "ines-two", "rita")}
    for name in ("ines", "ines-two"):
        last, vote = seen[name].last, seen[name].last_vote
        assert (last and last.hold.id, vote and vote.person) == (hold, "ines"), name
    assert (seen["rita"].last, seen["rita"].last_vote) == (None, None)
    assert running.sidecar.rooms.registry.ids_of("ines-two") == {"ines", "ines-two"}


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


async def titled(running: Product, caller: str | Caller, **wanted: object) -> dict[str, str | None]:
    """What the holds of a list are called for somebody."""
    caller = person(caller) if isinstance(caller, str) else caller
    return {view.hold.id: view.title for view in (await running.sidecar.acts.inbox(caller, Selection(**wanted))).views}


def read(running: Product) -> list[dict[str, object]]:
    """Entries that somebody looked at content."""
    return [entry for entry in rulings(running.house.folder) if entry["kind"] == "read"]


async def test_lists_read_no_payload(running: Product) -> None:
    """No bytes of what would be sent, whoever looks; and by looking at a title nobody has begun to review."""
    await held(running, 1)
    for tab in TABS:
        shown = await running.sidecar.acts.inbox(person("ines"), Selection(tab=tab))
        assert not any(view.hold.payload for view in shown.views)
    async with running.sidecar.rooms.store.reading() as connection:
        assert (await connection.execute(select(views))).all() == []


async def test_titles_are_for_those_who_may_see_the_payload(running: Product) -> None:
    """By the rule of the hold's own page, hold by hold; to the others a list says nothing more than before, and leaves no entry."""
    holds = [await held(running, number) for number in (1, 2)]
    acts, saw = running.sidecar.acts, set()
    for caller in (*map(person, running.sidecar.rooms.registry.data.people), READER, AUDITOR):
        before = len(read(running))
        seen = await titled(running, caller, tab="all")
        may = {hold: (await acts.look_at_hold(caller, hold)).payload for hold in holds}
        assert seen == {hold: "t" if may[hold] else None for hold in holds}, caller
        assert len(read(running)) - before == any(may.values()), caller
        saw |= {caller.person or caller.program} if any(may.values()) else set()
    assert saw == {"ines", "ines-two", "rita", "tomas", "lena", "auditor"}


async def test_one_entry_for_a_page_names_its_holds(running: Product) -> None:
    """Who, and which holds; nothing of the title itself; an empty page, and one without titles, leave none."""
    first, second = await held(running, 1), await held(running, 2)
    await titled(running, "ines")
    await titled(running, "ines", tab="done")
    await titled(running, READER, tab="all")
    (entry,) = read(running)
    assert {name: entry[name] for name in ("by", "what", "subject", "holds")} == {
        "by": "ines", "what": "titles", "subject": "inbox", "holds": sorted((first, second)),
    }  # fmt: skip
    assert "title" not in entry
    await running.vote(first, "ines", "reviewer", "reject")
    assert await titled(running, "ines", tab="done") == {first: "t"}
    assert [one["holds"] for one in read(running) if one["what"] == "titles"] == [sorted((first, second)), [first]]


async def test_while_the_log_takes_nothing_a_list_has_no_titles(running: Product, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be recorded is not shown; what waits is, so that people can stop it."""
    hold = await held(running, 1)

    async def full(*_: object, **__: object) -> None:
        raise AuditUnavailable("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(running.sidecar.rooms.recorder, "note", full)
        assert await titled(running, "ines") == {hold: None}
    assert await titled(running, "ines") == {hold: "t"}


async def test_a_list_asks_the_database_as_often_however_long_it_is(running: Product) -> None:
    """Titles cost one statement a page."""
    asked: list[str] = []

    def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if asyncio.current_task() is us:
            asked.append(statement)

    us = asyncio.current_task()
    event.listen(Engine, "before_cursor_execute", count)
    try:
        numbers = []
        for more in ((1,), (2, 3, 4)):
            for number in more:
                await held(running, number)
            await titled(running, "ines")  # learns the lots
            asked.clear()
            await titled(running, "ines")
            numbers.append(len([one for one in asked if "FROM titles" in one]))
            numbers.append(len(asked))
    finally:
        event.remove(Engine, "before_cursor_execute", count)
    assert numbers[0] == numbers[2] == 1
    assert numbers[1] == numbers[3]


async def test_a_program_needs_the_scope_and_nothing_waits_for_it(running: Product) -> None:
    """Without `read` nothing is told; with it, all waits on others."""
    hold = await held(running, 1)
    acts = running.sidecar.acts
    stranger, reader = (Caller(None, "robot", frozenset(scopes), "token") for scopes in ((), ("read",)))
    for refused in (
        acts.inbox(stranger, Selection()),
        acts.fresh(stranger, Selection(), 0),
        acts.next_hold(stranger, hold),
        acts.turn(stranger, hold),
    ):
        with pytest.raises(NotAllowed):
            await refused
    shown = await acts.inbox(reader, Selection(tab="others"))
    assert ([view.hold.id for view in shown.views], shown.counts["mine"]) == ([hold], 0)


async def test_the_api_leaves_out_what_the_inbox_does(running: Product) -> None:
    """`GET /holds` by each of the inbox's filters, alone and together; over the database, page by page."""
    first, second = await held(running, 1), await held(running, 2)
    hold = await running.sidecar.rooms.holds.get(first)

    async def found(query: str) -> list[str]:
        answer = await running.person("GET", f"/holds?{query}", "lena")
        assert answer.status == 200, answer.body
        return [one["id"] for one in answer.json["items"]]

    code = hold.reasons[0].code
    for query, ids in (
        (f"tier={hold.tier}&workflow={hold.workflow}&why={code}", [second, first]),
        ("tier=high" if hold.tier != "high" else "tier=low", []),
        ("workflow=another", []),
        ("workflow=%00", []),
        ("why=another", []),
        ("why=%25", []),
        ("why=%00", []),
        ("channel=another", []),
        (f"q={first[-8:].lower()}", [first]),
        ("q=%25", []),
        (f"state=pending&q={hold.agent}", [second, first]),
        (f"state=ended&q={hold.agent}", []),
        ("due=hour", [second, first] if hold.expires_at_ns <= running.sidecar.rooms.clock.now_ns() + SOON_NS else []),
    ):
        assert await found(query) == ids, query
    (channel,) = (await running.sidecar.acts.inbox(person("lena"), Selection(tab="all"))).choices["channel"]
    assert await found(f"channel={channel}") == [second, first]
    page = (await running.person("GET", f"/holds?why={code}&limit=1", "lena")).json
    rest = (await running.person("GET", f"/holds?why={code}&limit=1&cursor={page['next']}", "lena")).json
    assert [one["id"] for one in (*page["items"], *rest["items"])] == [second, first]
    assert (await running.person("POST", f"/holds/{first}/stop", "lena", {})).status == 200
    assert await found("state=stopped&due=hour") == []
