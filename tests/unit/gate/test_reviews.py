"""Rubber-stamp signals through the real gate: who is told what, and that nothing points at anybody (reference/governance.md C2.16)."""

import asyncio
from dataclasses import asdict, replace

import pytest
from sqlalchemy import insert

from stagewarden.errors import NotAllowed
from stagewarden.gate.reviews import current
from stagewarden.holds.signals import Review
from stagewarden.identity.people import Caller
from stagewarden.store.tables import reviews
from tests.product import populated, product, until

PROGRAM = Caller(None, "bot", frozenset({"read"}), "token")
WRITE = ("POST", "/newsroom/articles/7/publish")
SECOND = 1_000_000_000


@pytest.fixture
async def running(tmp_path):
    """The product."""
    async with product(tmp_path / "house") as made:
        made.newsroom.articles["7"] = {"id": "7", "status": "draft", "title": "Winter opening hours", "body": "b " * 500, "offers": [], "claims": []}
        yield made


def someone(person):
    """Signed in."""
    return Caller(person, None, frozenset(), "session")


async def voted(running, count, workflow="newsletter", person="ines", **changes):
    """So many approvals that happened before, a minute apart."""
    now = running.sidecar.rooms.clock.now_ns()
    rows = [
        Review(
            person=person,
            workflow=workflow,
            tier="medium",
            decision="approve",
            viewed_at_ns=now - (number * 60 + 50) * SECOND,
            at_ns=now - number * 60 * SECOND,
            length=500,
            in_view=True,
            after_hours=False,
        )
        for number in range(count)
    ]
    async with running.sidecar.rooms.store.writing() as connection:
        await connection.execute(
            insert(reviews), [{"vote": f"v_{person}_{number}", **asdict(replace(row, **changes))} for number, row in enumerate(rows)]
        )


async def held(running):
    """A publish that waits for people."""
    return (await running.ask(*WRITE)).json["hold"]["id"]


async def test_from_the_first_view_to_the_vote(running):
    """The content is shown, the vote follows: one review, counted by risk. What is approved lies at the upstream: that is what there was to read."""
    hold = await held(running)
    assert (await running.vote(hold, "ines", "reviewer")).status == 200
    (review,) = await running.sidecar.rooms.holds.reviews(60)
    assert (review.person, review.decision, review.in_view, review.length) == ("ines", "approve", True, 1000)
    assert review.seconds is not None
    metrics = (await running.operations("/metrics")).body.decode()
    assert 'stagewarden_approval_review_seconds_count{risk="medium"} 1.0' in metrics
    assert '"ines"' not in metrics


async def test_a_vote_without_a_look(running):
    """Cast with digests from elsewhere, the content never shown to this person: it counts, and is known as unread."""
    hold = await held(running)
    shown = (await running.person("GET", f"/holds/{hold}", "rita")).json
    ballot = {"decision": "reject", "function": "reviewer", "digest": shown["digest"], "view_digest": shown["view_digest"], "reason": "timing"}
    assert (await running.person("POST", f"/holds/{hold}/votes", "ines", ballot)).status == 200
    (review,) = await running.sidecar.rooms.holds.reviews(60)
    assert (review.seconds, review.in_view) == (None, False)


async def test_everybody_is_told_of_themselves(running):
    """However few they are; the signals wait until there are enough."""
    acts = running.sidecar.acts
    await voted(running, 29)
    own = await acts.own_reviews(someone("ines"))
    assert (own.measures.count, own.measures.run, own.measures.seconds, own.signals) == (29, 29, 50.0, ())
    assert (await acts.own_reviews(someone("tomas"))).measures.count == 0
    with pytest.raises(NotAllowed):
        await acts.own_reviews(PROGRAM)


WHO = {
    "its owner": ("rita", ["briefs", "newsletter"]),
    "whoever holds security": ("lena", ["briefs", "newsletter"]),
    "a reviewer who owns nothing": ("ines-two", []),
}


@pytest.mark.parametrize(("person", "workflows"), WHO.values(), ids=WHO)
async def test_a_workflow_is_shown_to_who_answers_for_it(running, person, workflows):
    """To its owners and security; to nobody else, and to no program."""
    acts = running.sidecar.acts
    assert [view.workflow for view in await acts.workflow_reviews(someone(person))] == workflows
    assert await acts.workflow_reviews(PROGRAM) == []


async def test_numbers_of_few_are_not_shown(running):
    """29 reviews are nobody's business but their people's; 30 are numbers, and still no names."""
    acts = running.sidecar.acts
    await voted(running, 29)
    _, newsletter = await acts.workflow_reviews(someone("lena"))
    assert (newsletter.measures, newsletter.signals) == (None, ())
    await voted(running, 1, person="tomas")
    _, newsletter = await acts.workflow_reviews(someone("lena"))
    assert (newsletter.measures.count, newsletter.signals) == (30, ("run", "always"))
    assert "ines" not in str(newsletter)


async def current_state(running):
    """As the watch does every half minute."""
    running.sidecar.rooms.signals = await current(running.sidecar.rooms)
    return dict(running.sidecar.rooms.signals)


async def asked(running, hold):
    """Its seats, and why."""
    shown = (await running.person("GET", f"/holds/{hold}", "ines")).json
    return [(seat["functions"], seat["needed"]) for seat in shown["seats"]], [reason["code"] for reason in shown["reasons"]]


SECOND_PERSON = {"    purpose: inform readers\n": "    purpose: inform readers\n    second_person: [always]\n"}


async def test_a_workflow_that_says_so_asks_a_second_person(tmp_path):
    """While its reviews look hurried a hold asks two, and says why. What was asked before asks as it did."""
    source = populated(tmp_path, "  zoe: {functions: [reviewer], name: Zoe Adler}\n")
    async with product(tmp_path / "house", source=source, **SECOND_PERSON) as running:
        for number in ("7", "8"):
            running.newsroom.articles[number] = {"id": number, "status": "draft", "title": "t", "body": "b", "offers": [], "claims": []}
        before = await held(running)
        await voted(running, 30)
        assert await current_state(running) == {"newsletter": ("run", "always")}
        after = (await running.ask("POST", "/newsroom/articles/8/publish")).json["hold"]["id"]
        assert await asked(running, before) == ([(["reviewer"], 1)], ["publish_not_granted", "restricted"])
        seats, codes = await asked(running, after)
        assert (seats, "threshold_crossed" in codes) == ([(["reviewer"], 2)], True)
        assert (await running.vote(before, "ines", "reviewer")).status == 200
        assert await running.ended(before) == "done"
        assert (await running.vote(after, "ines", "reviewer")).json["state"] == "pending"
        await voted(running, 30, person="tomas", decision="reject")
        assert await current_state(running) == {"newsletter": ("run",)}
        await running.vote(after, "zoe", "reviewer")
        assert await running.ended(after) == "done"
        assert len(running.newsroom.arrivals) == 2


async def test_the_policy_is_told_by_the_clockwork(tmp_path):
    """A sidecar that starts with hurried reviews in its database knows them before anybody votes again."""
    async with product(tmp_path / "house") as running:
        await voted(running, 30)
        rooms = running.sidecar.rooms
        rooms.signals = {}
        watching = asyncio.create_task(running.sidecar.watch.signals())
        await until(lambda: rooms.signals)
        watching.cancel()
        assert rooms.circumstances("drafter", "newsletter").review == ("run", "always")
        assert rooms.circumstances("poster", "briefs").review == rooms.circumstances("torn", None).review == ()
