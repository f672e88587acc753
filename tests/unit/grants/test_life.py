"""The life of a grant over a real database: every move of the table, every end, and what is refused changes nothing."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from stagewarden.errors import CannotTell, Conflict, Invalid, NotFound, StateUnavailable
from stagewarden.grants import Ballot, Bound, GrantState
from stagewarden.grants.lifecycle import ENDED, OPEN, TRANSITIONS, Event, move
from stagewarden.grants.report import report
from stagewarden.model import Seat, Tier
from tests.unit.grants.bench import COUNCIL, DIGEST, PLACE, TERMS, Bench


def test_the_table_is_the_designs() -> None:
    """Requested → active | rejected; active → spent | completed | expired | revoked | lapsed; nothing leads out of an end."""
    edges = {(str(start), str(end)) for (start, _), end in TRANSITIONS.items() if start is not end}
    assert edges == {("requested", "active"), ("requested", "rejected")} | {
        ("active", end) for end in ("spent", "completed", "expired", "revoked", "lapsed")
    }
    assert {state for state, _ in TRANSITIONS} == OPEN
    assert set(GrantState) == ENDED | OPEN


@pytest.mark.parametrize("state", GrantState)
@pytest.mark.parametrize("event", Event)
def test_every_pair(state: GrantState, event: Event) -> None:
    """What is not listed is refused."""
    if (state, event) in TRANSITIONS:
        assert move(state, event) is TRANSITIONS[state, event]
    else:
        with pytest.raises(Conflict):
            move(state, event)


async def test_votes_make_it_active_and_its_time_begins_then(bench: Bench) -> None:
    """Not when it was asked for; each step leaves its entries in the outbox."""
    grant = await bench.requested()
    bench.clock.advance(500)
    await bench.voted(grant, "bruno", "business")
    changed = await bench.voted(grant, "lena", "security")
    assert (changed.grant.state, [entry.kind for entry in changed.entries]) == ("active", ["vote", "grant"])
    assert changed.grant.expires_at_ns == bench.clock.now_ns() + TERMS.ttl * 10**9
    body = changed.entries[1].body
    assert (body["event"], body["approved_by"]) == (
        "filled", [{"person": "bruno", "function": "business"}, {"person": "lena", "function": "security"}],
    )  # fmt: skip
    assert body["terms"] == TERMS.document()


async def test_terms_survive_the_database(bench: Bench) -> None:
    """To the type: 1 and 1.0 stay two things, and so does the digest people voted on."""
    bounds = (Bound("/a", const=1.0), Bound("/b", enum=(1, True, None)), Bound("/c", const=None))
    grant = await bench.requested(bounds=bounds, template=True)
    stored = await bench.grants.get(grant.id)
    assert [repr(bound) for bound in stored.terms.bounds] == [repr(bound) for bound in bounds]
    assert stored.terms.fingerprint() == grant.digest


@pytest.mark.parametrize("end", ["revoke", "complete", "complete_on", "ttl", "review", "decide", "spend"])
async def test_every_end_leaves_nothing_to_use(bench: Bench, end: str) -> None:
    """After any of them no use can be reserved, and the grant says who or what ended it."""
    if end == "decide":
        grant = await bench.requested()
        bench.clock.advance(601)
        with pytest.raises(Conflict):
            await bench.voted(grant, "bruno", "business")
        await bench.grants.end_due()
    else:
        grant = await bench.active(uses=1, completes_on="record.fill", review_within=60 if end == "review" else None)
        if end == "revoke":
            await bench.grants.revoke(grant.id, "ines", "why")
        elif end == "complete":
            await bench.grants.complete(grant.id, "tomas", "")
        elif end == "complete_on":
            assert await bench.grants.complete_on("enricher", "enrichment", "record.other") == ()
            await bench.grants.complete_on("enricher", "enrichment", "record.fill")
        elif end == "spend":
            await bench.grants.sent(await bench.used(grant))
        else:
            bench.clock.advance(61 if end == "review" else 3601)
            assert await bench.grants.reserve(grant, "r", DIGEST, ()) is None, "felt before anybody has cleared it away"
            await bench.grants.end_due()
    ended = await bench.grants.get(grant.id)
    expected = {
        "revoke": ("revoked", "ines", "why"), "complete": ("completed", "tomas", "completed"),
        "complete_on": ("completed", None, "done: record.fill"),
        "ttl": ("expired", None, "ttl"), "review": ("lapsed", None, "review_window"), "decide": ("rejected", None, "decide_by"),
        "spend": ("spent", None, "every use is sent"),
    }  # fmt: skip
    assert (ended.state, ended.ended_by, ended.ended_why) == expected[end]
    await bench.logged()  # an end that is not in the log yet would keep everybody from it all the same
    for known in (ended, grant):  # whoever read it before the end, too
        assert await bench.grants.reserve(known, "r", DIGEST, ()) is None
    for act in (bench.grants.revoke(grant.id, "ines", ""), bench.grants.complete(grant.id, "ines", "")):
        with pytest.raises(Conflict):
            await act
    assert await bench.grants.get(grant.id) == ended


async def test_the_next_end(bench: Bench) -> None:
    """The first of what is asked for, expires or is to be reviewed, on the clock that comes there first; none once they have ended."""
    assert await bench.grants.next_end() is None
    await bench.requested()
    assert await bench.grants.next_end() == 600.0
    reviewed = await bench.active(review_within=60)
    assert await bench.grants.next_end() == 60.0
    bench.clock.jump(-30)
    bench.clock.advance(20)
    assert await bench.grants.next_end() == 40.0
    await bench.grants.revoke(reviewed.id, "ines", "why")
    bench.clock.jump(30)
    bench.clock.advance(3600)
    assert await bench.grants.next_end() == 0.0
    assert [changed.grant.state for changed in await bench.grants.end_due()] == ["rejected"]
    assert (await bench.grants.next_end(), bench.grants.known.passed()) == (None, ())


async def test_a_wall_clock_set_back_lengthens_no_grant(bench: Bench) -> None:
    """A deadline is over when either clock says so."""
    grant = await bench.active()
    bench.clock.jump(-7200)
    bench.clock.advance(3600)
    assert bench.grants.over(grant)
    assert await bench.grants.reserve(grant, "r", DIGEST, ()) is None
    assert [changed.grant.state for changed in await bench.grants.end_due()] == ["expired"]


async def test_a_wall_clock_set_forward_ends_it(bench: Bench) -> None:
    """The other way round."""
    grant = await bench.active()
    bench.clock.jump(3600)
    assert await bench.grants.reserve(grant, "r", DIGEST, ()) is None


async def test_uses_are_counted_reserved_sent_and_given_back(bench: Bench) -> None:
    """Two uses: one given back, two sent; then it is spent, and nothing settles twice."""
    grant = await bench.active()
    first, second = await bench.used(grant, "r_1"), await bench.used(grant, "r_2")
    assert await bench.grants.reserve(grant, "r_3", DIGEST, ()) is None
    assert (await bench.grants.give_back(first)).grant.uses_left == 1
    assert await bench.grants.give_back(first) is None
    assert await bench.grants.sent(first) is None, "what was given back is not sent"
    third = await bench.used(grant, "r_3")
    assert (await bench.grants.sent(second)).grant.state == "active", "one is on its way still"
    assert (await bench.grants.sent(third)).grant.state == "spent"
    assert await bench.grants.give_back(third) is None, "what was sent is not given back"
    assert [(use.ruling, use.state) for use in await bench.grants.uses(grant.id)] == [("r_1", "returned"), ("r_2", "sent"), ("r_3", "sent")]


async def test_a_reservation_nobody_settled_counts_as_used_and_is_shown(bench: Bench) -> None:
    """A crash between reservation and send: the use is gone, and everybody can see which ruling took it."""
    grant = await bench.active(uses=1)
    await bench.used(grant, "r_crashed")
    later = Bench(bench.store, bench.clock)
    found = (await later.grants.standing(PLACE))[0]
    assert (found.uses_left, await later.grants.reserve(found, "r", DIGEST, ())) == (0, None)
    told = report(found, await later.grants.uses(grant.id))
    assert (told.reserved, told.sent, told.fields) == (1, 0, ("title",))


async def test_nothing_is_used_before_the_approval_is_in_the_log(bench: Bench) -> None:
    """The entry comes first, then the effect; an entry about another use keeps nobody waiting."""
    grant = await bench.requested()
    await bench.voted(grant, "bruno", "business")
    active = (await bench.voted(grant, "lena", "security")).grant
    assert await bench.grants.reserve(active, "r", DIGEST, ()) is None
    await bench.logged()
    assert await bench.grants.reserve(active, "r_1", DIGEST, ()) is not None
    assert await bench.grants.reserve(active, "r_2", DIGEST, ()) is not None


async def test_a_grant_that_ends_while_its_use_is_reserved_sends_nothing(bench: Bench) -> None:
    """Between the yes and the first byte."""
    grant = await bench.active()
    use = await bench.used(grant)
    await bench.grants.revoke(grant.id, "ines", "")
    assert await bench.grants.sent(use) is None
    assert (await bench.grants.give_back(use)).grant.state == "revoked"


async def test_a_hold_takes_its_use_with_it(bench: Bench) -> None:
    """The use of a template goes where its hold goes, found by the ruling both have."""
    grant = await bench.active()
    await bench.used(grant, "r_1")
    await bench.used(grant, "r_2")
    await bench.grants.follow("r_1", sent=False)
    await bench.grants.follow("r_2", sent=True)
    assert await bench.grants.follow("r_2", sent=False) is None
    assert [use.state for use in await bench.grants.uses(grant.id)] == ["returned", "sent"]


@pytest.mark.parametrize("place", [
    ("another", *PLACE[1:]), (PLACE[0], "another", *PLACE[2:]), (*PLACE[:2], "another", PLACE[3]), (*PLACE[:3], "export"),
], ids=["agent", "workflow", "upstream", "stage"])  # fmt: skip
async def test_nobody_elses_grant_is_found(bench: Bench, place: tuple[str, str, str, str]) -> None:
    """Agent, workflow, upstream and stage are the grant's own."""
    grant = await bench.active()
    assert [found.id for found in await bench.grants.standing(PLACE)] == [grant.id]
    assert await bench.grants.standing(place) == ()


async def test_what_was_asked_for_or_refused_is_not_shown_and_what_ended_lately_is(bench: Bench) -> None:
    """A request permits nothing; a grant that ended lately is the reason for a no, and later it is forgotten."""
    await bench.requested()
    assert await bench.grants.standing(PLACE) == ()
    await bench.active(ttl=10)
    bench.clock.advance(11)
    await bench.grants.end_due()
    assert [found.state for found in await bench.grants.standing(PLACE)] == ["expired"]
    bench.clock.advance(3601)
    assert await bench.grants.standing(PLACE) == ()


async def test_another_process_hears_within_a_second(bench: Bench, tmp_path) -> None:
    """Issued there: found here at the next reading. Ended there: felt here at once, because a use is reserved in the database."""
    other = Bench(bench.store, bench.clock)
    assert await other.grants.standing(PLACE) == ()
    grant = await bench.active()
    assert await other.grants.standing(PLACE) == ()
    bench.clock.advance(1)
    assert [found.id for found in await other.grants.standing(PLACE)] == [grant.id]
    await bench.grants.revoke(grant.id, "ines", "")
    assert await other.grants.reserve(grant, "r", DIGEST, ()) is None
    assert await other.grants.standing(PLACE) == ()


async def test_with_the_database_gone_there_is_no_grant(bench: Bench) -> None:
    """A grant only ever loosens: what cannot be read does not."""
    grant = await bench.active()
    await bench.store.close()
    assert await bench.grants.standing(PLACE) == ()
    with pytest.raises(StateUnavailable):
        await bench.grants.reserve(grant, "r", DIGEST, ())


async def test_what_is_not_understood_is_not_stored(bench: Bench) -> None:
    """No seats, no such grant, a cursor of somebody else's, other terms, a vote after the last."""
    for seats in ((), (Seat((), 1),), (Seat(("business",), 0),)):
        with pytest.raises(CannotTell):
            await bench.grants.request(TERMS, "tomas", seats, Tier.MEDIUM, 60)
    with pytest.raises(NotFound):
        await bench.grants.get("g_none")
    with pytest.raises(NotFound):
        await bench.grants.revoke("g_none", "ines", "")
    with pytest.raises(Invalid):
        await bench.grants.list(frozenset(), None, "aWQ")
    assert await bench.grants.list(frozenset(), None) == ((), None)
    grant = await bench.active()
    with pytest.raises(Conflict):
        await bench.voted(grant, "rita", "business")
    waiting = await bench.requested()
    with pytest.raises(Conflict):
        await bench.grants.vote(waiting.id, Ballot("bruno", "business", "approve", replace(TERMS, uses=9).fingerprint()), COUNCIL)
    assert (await bench.grants.get(waiting.id)).votes == ()


async def test_pages(bench: Bench) -> None:
    """Newest first, by state and agent, in pages."""
    made = [(await bench.requested()).id for _ in range(5)]
    first, cursor = await bench.grants.list(frozenset({GrantState.REQUESTED}), "enricher", None, 3)
    second, end = await bench.grants.list(frozenset({GrantState.REQUESTED}), "enricher", cursor, 3)
    assert ([grant.id for grant in (*first, *second)], end) == (sorted(made, reverse=True), None)
    assert await bench.grants.list(frozenset({GrantState.ACTIVE}), None) == ((), None)
    assert await bench.grants.list(frozenset(), "another") == ((), None)
