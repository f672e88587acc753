"""The approval family of bypasses.md, section 1e, against the real store. Named after the advisories."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from msgspec.structs import replace

from stagewarden.errors import Conflict, NotAllowed
from stagewarden.model import HoldState, Stage
from stagewarden.registry import Person
from tests.unit.holds.bench import HIGH, OK, ballot, new_hold, registry, request


async def test_cve_2026_45720_cve_2026_20779_an_approval_is_spent_once(bench):
    """A single-use token used twice in parallel (Omni, Gitea TOTP): 50 runs of the whole release race, one reaches `sent`."""
    hold = await bench.approved()

    async def run(attempt: str) -> str:
        try:
            await bench.holds.claim(hold.id, attempt)
            await bench.holds.mark_sent(hold.id, attempt)
            await bench.holds.finish(hold.id, attempt, OK)
        except Conflict:
            return "refused"
        return "sent"

    assert Counter(await asyncio.gather(*(run(f"a_{number}") for number in range(50)))) == {"sent": 1, "refused": 49}
    assert [body["event"] for body in await bench.log()] == ["claimed", "sending", "answered"]


async def test_cve_2026_45720_one_person_voting_fifty_times_in_parallel_votes_once(bench):
    """The same approval handed in fifty times at once is one vote and fills one seat of two."""
    hold = await bench.pending(seats=HIGH)
    ballots = [ballot(hold, note=f"n{number % 2}") for number in range(50)]
    moved = await asyncio.gather(*(bench.holds.vote(hold.id, each, bench.registry) for each in ballots), return_exceptions=True)
    assert sum(not isinstance(each, BaseException) and bool(each.entries) for each in moved) == 1
    assert {type(each) for each in moved if isinstance(each, BaseException)} == {Conflict}
    stands = await bench.holds.get(hold.id)
    assert (stands.state, len(stands.votes)) == (HoldState.PENDING, 1)


async def test_cve_2026_45720_fifty_people_voting_in_parallel_approve_once(bench):
    """The last seat is filled once, whoever was first; the others come too late, and approve and reject cannot both win."""
    people = {f"p{number}": Person(functions=("reviewer",)) for number in range(50)}
    hold = await bench.pending()
    ballots = [ballot(hold, name, decision="approve" if number % 2 else "reject") for number, name in enumerate(people)]
    moved = await asyncio.gather(*(bench.holds.vote(hold.id, each, registry(**people)) for each in ballots), return_exceptions=True)
    assert sum(not isinstance(each, BaseException) for each in moved) == 1
    stands = await bench.holds.get(hold.id)
    assert stands.state in {HoldState.APPROVED, HoldState.REJECTED}
    assert len(stands.votes) == 1


async def test_a_kill_and_fifty_releases_race(bench):
    """Whatever order they come in, a hold is stopped or sent, never both."""
    for number in range(10):
        hold = await bench.approved()

        async def release(hold=hold, attempt=f"a_{number}"):
            await bench.holds.claim(hold.id, attempt)
            await bench.holds.mark_sent(hold.id, attempt)

        outcomes = await asyncio.gather(release(), bench.holds.stop_in_scope("all", "sam", "kill"), return_exceptions=True)
        stands = (await bench.holds.get(hold.id)).state
        stopped = [each.hold.id for each in outcomes[1]]
        assert (stands is HoldState.STOPPED) == (hold.id in stopped)
        assert stands is (HoldState.SENT if outcomes[0] is None else HoldState.STOPPED)
        await bench.log()


RETARGETED = {
    "body": request(b"other"), "target": request(target="/posts/2"), "method": request(method="PUT"), "authority": request(authority="other.example"),
    "scheme": request(scheme="https"), "header": request(headers=(("Content-Type", "text/plain"),)), "upstream": request(upstream="crm"),
}  # fmt: skip


@pytest.mark.parametrize("changed", RETARGETED)
async def test_cve_2026_58439_an_approval_does_not_survive_retargeting(bench, changed):
    """Approval survives a change of what was approved (Gitea): one changed part of the request is another hold, and takes other votes."""
    first = (await bench.holds.open(new_hold(request()))).hold
    await bench.holds.vote(first.id, ballot(first), bench.registry)
    second = (await bench.holds.open(new_hold(RETARGETED[changed]))).hold
    assert (second.id != first.id, second.state, second.votes) == (True, HoldState.PENDING, ())
    with pytest.raises(Conflict, match="digest"):
        await bench.holds.vote(second.id, ballot(first), bench.registry)


async def test_cve_2026_58439_another_stage_or_agent_is_another_approval(bench):
    """The digest covers who asks and for which stage."""
    digests = {request().digest("drafter", Stage.EXPORT), request().digest("drafter", Stage.EDIT), request().digest("other", Stage.EXPORT)}
    assert len(digests) == 3


async def test_cve_2026_58439_a_vote_on_what_was_shown_before_is_stale(bench):
    """The same bytes under a stricter verdict are another view: the old ballot is refused."""
    hold = await bench.pending()
    stale = ballot(hold)
    stricter = replace(new_hold(hold.request).verdict, seats=HIGH)
    moved = await bench.holds.supersede(hold.id, (), replace(new_hold(hold.request), verdict=stricter))
    with pytest.raises(Conflict, match="superseded"):
        await bench.holds.vote(hold.id, stale, bench.registry)
    with pytest.raises(Conflict, match="view_digest"):
        await bench.holds.vote(moved.hold.successor, stale, bench.registry)


@pytest.mark.parametrize("end", ["withdrawn", "stopped", "rejected", "expired", "superseded", "done", "failed", "unknown"])
async def test_cve_2026_104632_a_late_approval_revives_nothing(bench, end):
    """Cancel and rerun, late approval of a cancelled job (Gitea): no vote, claim or send follows an end."""
    hold = await bench.force(await bench.pending(), state=end)
    before = await bench.snapshot()
    for act in (bench.holds.vote(hold.id, ballot(hold), bench.registry), bench.holds.claim(hold.id, "a_1"), bench.holds.mark_sent(hold.id, "a_1")):
        with pytest.raises(Conflict):
            await act
    assert await bench.snapshot() == before


async def test_cve_2026_66874_no_function_stands_in_for_another(bench):
    """An administrator, an owner or somebody with every function but the right one is nobody for this seat."""
    everything = Person(functions=("business", "security", "privacy", "technical", "manager", "administrator"))
    people = registry(root=everything)
    hold = await bench.pending()
    for function in (*everything.functions, "reviewer"):
        with pytest.raises(NotAllowed):
            await bench.holds.vote(hold.id, ballot(hold, "root", function), people)
    assert (await bench.holds.get(hold.id)).votes == ()


async def test_cve_2026_94205_a_sibling_is_not_approved_along(bench):
    """Approving one of two holds of the same agent and asset releases one."""
    one, other = await bench.approved(asset="42"), await bench.pending(asset="42")
    assert await bench.holds.due() == (one.id,)
    assert (await bench.holds.get(other.id)).state is HoldState.PENDING


HOSTILE = ["' OR '1'='1", "h_x'; DROP TABLE holds; --", "%", "h_\x00", "🙂" * 50]


@pytest.mark.parametrize("text", HOSTILE, ids=repr)
async def test_cve_2026_42208_names_are_parameters(bench, text):
    """SQL from a caller's text (LiteLLM): ids, people, scopes and cursors reach the database as values only."""
    hold = await bench.approved()
    before = await bench.snapshot()
    assert await bench.holds.stop_in_scope(f"agent:{text}", text, text) == ()
    for act in (
        bench.holds.get(text),
        bench.holds.withdraw(text, text),
        bench.holds.claim(text, text),
        bench.holds.vote(text, ballot(hold, text), bench.registry),
    ):
        with pytest.raises(Exception, match="no such hold"):
            await act
    assert await bench.snapshot() == before
