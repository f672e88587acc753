"""What people look back at: rulings as far as their role goes, the story of a hold and of an asset, in a running house."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stagewarden.audit.reader import Wanted
from stagewarden.errors import NotAllowed, NotFound
from stagewarden.identity.people import Caller
from tests.product import product, rulings, until

if TYPE_CHECKING:
    from pathlib import Path

ASSERTS = {"Stagewarden-Asserts": '{"confidence": 0.3, "sources": ["s-9"], "rationale": "CANARY"}'}


def person(name: str) -> Caller:
    """Somebody signed in."""
    return Caller(name, None, frozenset(), "session")


def program(*scopes: str) -> Caller:
    """A program with these scopes."""
    return Caller(None, "p", frozenset(scopes), "token")


async def test_what_an_agent_said_follows_the_role(tmp_path: Path) -> None:
    """Owners, security and the hold's seats see it by value; everybody else that it was said. Digests and rules are everybody's."""
    async with product(tmp_path) as running:
        await running.ask("GET", "/newsroom/articles/1", headers=ASSERTS)
        acts = running.sidecar.acts
        people = running.sidecar.rooms.registry.data.people
        agent = running.sidecar.rooms.registry.data.agents["drafter"]
        seeing = {name for name, one in people.items() if {"security", "privacy", "technical"} & set(one.functions)}
        seeing |= {agent.owners.human, agent.owners.business, agent.owners.technical} & people.keys()
        assert seeing
        assert people.keys() - seeing
        for caller, sees in [*((person(name), name in seeing) for name in people), (program("read"), False), (program("read", "payloads"), True)]:
            (entry,), _ = await acts.rulings(caller, Wanted(agent="drafter"))
            assert ("s-9" in str(entry["asserted"]), entry["data_sources"] == ["s-9"]) == (sees, sees), caller
            assert sees or (set(entry["asserted"]), set(entry["asserted"].values())) == ({"confidence", "sources", "rationale"}, {"redacted"})
            assert entry["proposed"]["digest"].startswith("sha256:")
            assert (await acts.ruling(caller, str(entry["ruling"])))["asserted"] == entry["asserted"]
        assert "CANARY" not in str(rulings(tmp_path))


async def test_a_hold_and_its_asset_are_told_from_opening_to_answer(tmp_path: Path) -> None:
    """The agent's repeat is there too; the search for an asset is recorded, under the reader's name."""
    async with product(tmp_path) as running:
        running.newsroom.articles["9"] = {"id": "9", "status": "draft", "title": "T", "body": "", "offers": [], "claims": []}
        hold = (await running.ask("POST", "/newsroom/articles/9/publish")).json["hold"]["id"]
        await running.ask("POST", "/newsroom/articles/9/publish")
        await running.vote(hold, "ines", "reviewer")
        assert await running.ended(hold) == "done"
        await until(lambda: any(entry["kind"] == "outcome" for entry in rulings(tmp_path)), 20)
        acts = running.sidecar.acts
        told = await acts.hold_story(person("ines"), hold)
        kinds = [entry["kind"] for entry in told.entries]
        assert told.whole
        assert (kinds.count("ruling"), kinds.count("vote"), kinds.count("release"), kinds.count("outcome")) == (2, 1, 1, 1)
        assert next(entry["event"] for entry in told.entries if entry["kind"] == "hold") == "opened"
        about = await acts.asset_story(person("ines"), "newsroom", "9")
        assert {entry["seq"] for entry in told.entries} <= {entry["seq"] for entry in about.entries}
        assert [entry["subject"] for entry in rulings(tmp_path) if entry["kind"] == "read" and entry["what"] == "timeline"] == ["newsroom/9"]
        ruling = next(entry for entry in told.entries if entry["kind"] == "ruling")
        place = await acts.place(person("ines"), ruling)
        assert (place.seq, place.newest, place.broken) == (ruling["seq"], True, None)
        counts = await acts.ruled(person("ines"), "2020-01-01T00:00:00Z")
        assert (counts.allow, counts.hold, counts.deny, counts.whole) == (0, 2, 0, True)


async def test_nothing_is_told_of_nothing_and_to_nobody(tmp_path: Path) -> None:
    """Unknown ids are not found; a program without `read` is told nothing, and a search it may not make is not recorded."""
    async with product(tmp_path) as running:
        acts = running.sidecar.acts
        for call in (acts.ruling(person("ines"), "r_1"), acts.hold_story(person("ines"), "h_1"), acts.asset_story(person("ines"), "newsroom", "9")):
            with pytest.raises(NotFound):
                await call
        before = len(rulings(tmp_path))
        nobody = program("stop")
        for call in (
            acts.ruled(nobody, "2020-01-01T00:00:00Z"), acts.place(nobody, {}), acts.hold_story(nobody, "h_1"),
            acts.asset_story(nobody, "newsroom", "9"),
        ):  # fmt: skip
            with pytest.raises(NotAllowed):
                await call
        assert len(rulings(tmp_path)) == before
