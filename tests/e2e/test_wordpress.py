"""The main job against a real WordPress: drafting is free, publishing waits for people, what they approved is sent once, by the publisher.

The battery of other ways to publish is in test_wordpress_battery.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import stagewarden
from tests.e2e.desk import POSTS, Desk, desk
from tests.e2e.opa import opa_server
from tests.e2e.processes import command, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.e2e.wordpress_site import Site
    from tests.product import Reply
    from tests.upstreams import Received

BUNDLE = Path(stagewarden.__file__).parent / "bundle" / "stagewarden.tar.gz"


@pytest.fixture(params=["wasm", "opa"])
async def with_each_engine(request: pytest.FixtureRequest, site: Site, tmp_path: Path) -> AsyncIterator[Desk]:
    """A desk whose policy is judged in the process, and one whose policy is judged by a real OPA server."""
    if request.param == "wasm":
        with desk(tmp_path, site) as running:
            yield running
        return
    async with opa_server(tmp_path, BUNDLE) as server:
        with desk(tmp_path, site, f"{{engine: opa, deadline: 2s, opa: {{url: '{server.url}'}}}}") as running:
            yield running


def held(reply: Reply, tier: str, *seats: tuple[set[str], int]) -> str:
    """Assert that the answer is a fresh hold with this tier and these seats, all open; its id."""
    assert (reply.status, reply.json["type"]) == (403, "urn:stagewarden:problem:held"), reply
    hold = reply.json["hold"]
    assert (hold["state"], hold["tier"]) == ("pending", tier)
    assert [(set(seat["functions"]), seat["needed"], seat["filled"]) for seat in hold["seats"]] == [(*seat, 0) for seat in seats]
    return hold["id"]


ONE_REVIEWER = ({"reviewer"}, 1)
TWO_PEOPLE = (({"compliance", "legal", "reviewer"}, 1), ({"manager", "reviewer"}, 1))


def test_a_draft_becomes_public_by_one_approval_and_one_request(with_each_engine):
    """Create, edit, ask, hold, vote, sent once with the publisher's credential; WordPress says so, and a repeat gets the stored answer."""
    desk, site = with_each_engine, with_each_engine.site
    # The agent drafts and edits by itself, with the drafter's credential.
    number = desk.draft("Winter hours", "Open until Sunday.")
    assert desk.agent("POST", f"{POSTS}/{number}", {"content": "Open until Monday."}).status == 200
    assert site.post(number)["status"] == "draft"
    assert {request.header("Authorization") for request in desk.recorder.writes()} == {site.drafter}

    # It asks to publish, and is told where that stands.
    hold = held(asked := desk.ask_to_publish(number), "medium", ONE_REVIEWER)
    assert asked.headers["Link"] == f'</.stagewarden/holds/{hold}>; rel="status"'
    assert {reason["code"] for reason in asked.json["reasons"]} == {"publish_not_granted", "restricted"}
    assert site.post(number)["status"] == "draft"
    assert [request.body for request in desk.writes(number)] == [b'{"content": "Open until Monday."}']
    # Asking again asks nobody again.
    assert desk.ask_to_publish(number).json["hold"]["id"] == hold

    # One reviewer reads it and approves.
    assert desk.sidecar.vote(hold, "bob", "reviewer").status == 200
    assert desk.sidecar.settled(hold, "bob")["state"] == "done"
    assert (site.post(number)["status"], site.post(number)["content"]["raw"]) == ("publish", "Open until Monday.")
    published = desk.writes(number)[1:]
    assert [(request.body, request.header("Authorization")) for request in published] == [(b'{"status": "publish"}', site.publisher)]
    assert published[0].header("Stagewarden-Ruling") == asked.json["ruling"]

    # The agent's identical repeat gets the stored answer, and nothing arrives.
    writes = len(desk.recorder.writes())
    repeat = desk.ask_to_publish(number)
    assert (repeat.status, repeat.headers["Stagewarden-Hold"], repeat.headers["Stagewarden-Review"]) == (200, hold, "human")
    assert (repeat.json["id"], repeat.json["status"]) == (number, "publish")
    status = desk.agent("GET", f"/.stagewarden/holds/{hold}").json
    assert (status["state"], status["response"]["status"], status["response"]["body"].encode()) == ("done", 200, repeat.body)
    assert len(desk.recorder.writes()) == writes
    # The agent's own key has never left the sidecar.
    assert not [request for request in desk.recorder.requests if desk.key.encode() in request.raw]


@pytest.mark.parametrize(
    ("content", "members"),
    [
        pytest.param("The subscription is 49 EUR a year.", {}, id="in what is stored"),
        pytest.param("A new subscription.", {"meta": {"claims": ["the cheapest in town"]}}, id="in what the request claims"),
        pytest.param("A new subscription.", {"excerpt": "Now at 20% off"}, id="in what the request says"),
    ],
)
def test_a_price_asks_for_two_people(wordpress_desk, content, members):
    """A post that states a price, wherever it says so, needs two different people; one of them is not enough, not even twice."""
    desk, site = wordpress_desk, wordpress_desk.site
    number = desk.draft("Subscriptions", content)
    hold = held(asked := desk.ask_to_publish(number, **members), "high", *TWO_PEOPLE)
    assert "legal_or_price" in {reason["code"] for reason in asked.json["reasons"]}

    first = desk.sidecar.vote(hold, "carol", "manager")
    assert (first.status, first.json["state"]) == (200, "pending")
    again = desk.sidecar.vote(hold, "carol", "reviewer")
    assert (again.status, again.json["type"]) == (409, "urn:stagewarden:problem:conflict")
    # A function one does not hold, or that no seat asks for, fills no seat.
    assert desk.sidecar.vote(hold, "alice", "reviewer").status == 403
    assert desk.sidecar.vote(hold, "erin", "security").status == 403
    assert site.post(number)["status"] == "draft"
    assert desk.writes(number) == []

    second = desk.sidecar.vote(hold, "dave", "legal")
    assert (second.status, second.json["state"]) == (200, "approved")
    assert desk.sidecar.settled(hold, "carol")["state"] == "done"
    assert site.post(number)["status"] == "publish"
    assert [request.header("Authorization") for request in desk.writes(number)] == [site.publisher]


@pytest.mark.parametrize("changed", [{"status": "publish", "content": "Changed."}, {"content": "Changed."}, {"title": "Changed", "status": "draft"}])
def test_a_changed_body_after_publication_is_held_again(wordpress_desk, changed):
    """What people approved was one body: every other one about a public post waits, with or without a status."""
    desk, site = wordpress_desk, wordpress_desk.site
    number = desk.draft("Hours", "As approved.")
    hold = held(desk.ask_to_publish(number), "medium", ONE_REVIEWER)
    desk.sidecar.vote(hold, "bob", "reviewer")
    assert desk.sidecar.settled(hold, "bob")["state"] == "done"
    public = site.post(number)

    another = held(desk.agent("POST", f"{POSTS}/{number}", changed), "medium", ONE_REVIEWER)
    assert another != hold
    assert site.post(number) == public
    assert len(desk.writes(number)) == 1


def test_an_approval_is_of_one_body_and_of_the_draft_as_it_was(wordpress_desk):
    """Two bodies wait for the same post: approving one sends that one, and the other was asked about a post that is no more."""
    desk, site = wordpress_desk, wordpress_desk.site
    number = desk.draft("Hours", "Draft.")
    one = held(desk.ask_to_publish(number, content="One."), "medium", ONE_REVIEWER)
    other = held(desk.ask_to_publish(number, content="Other."), "medium", ONE_REVIEWER)
    assert one != other

    desk.sidecar.vote(one, "bob", "reviewer")
    assert desk.sidecar.settled(one, "bob")["state"] == "done"
    assert desk.sidecar.hold(other, "bob")["state"] == "pending"
    desk.sidecar.vote(other, "bob", "reviewer")
    ended = desk.sidecar.settled(other, "bob")
    assert (ended["state"], ended["ended_by"]) == ("superseded", "digest_mismatch")
    assert site.post(number)["content"]["raw"] == "One."
    assert [request.body for request in desk.writes(number)] == [b'{"status": "publish", "content": "One."}']


def test_what_was_changed_in_wordpress_meanwhile_is_not_published(wordpress_desk):
    """Somebody edits the draft past the sidecar after the question was asked: the approval does not cover that, and nothing goes out."""
    desk, site = wordpress_desk, wordpress_desk.site
    number = desk.draft("Hours", "What the reviewer read.")
    hold = held(desk.ask_to_publish(number), "medium", ONE_REVIEWER)
    site.change(number, content="What nobody read.")

    assert desk.sidecar.vote(hold, "bob", "reviewer").status == 200
    ended = desk.sidecar.settled(hold, "bob")
    assert (ended["state"], ended["ended_by"]) == ("superseded", "digest_mismatch")
    assert site.post(number)["status"] == "draft"
    assert desk.writes(number) == []
    # The same request again is a new question, about the draft as it is now.
    assert held(desk.ask_to_publish(number), "medium", ONE_REVIEWER) != hold


def test_an_edit_by_the_agent_takes_the_question_back(wordpress_desk):
    """An allowed edit of the draft ends what waits for approval of it: nobody can approve what is no more."""
    desk, site = wordpress_desk, wordpress_desk.site
    number = desk.draft("Hours", "First.")
    hold = held(desk.ask_to_publish(number), "medium", ONE_REVIEWER)
    seen = desk.sidecar.hold(hold, "bob")
    assert desk.agent("POST", f"{POSTS}/{number}", {"content": "Second."}).status == 200

    assert desk.sidecar.hold(hold, "bob")["state"] == "superseded"
    ballot = {"decision": "approve", "function": "reviewer", "digest": seen["digest"], "view_digest": seen["view_digest"]}
    late = desk.sidecar.person("POST", f"/holds/{hold}/votes", "bob", ballot | {"answers": dict.fromkeys(seen["questions"], True)})
    assert late.status == 409
    assert site.post(number)["status"] == "draft"


class Killing:
    """Kills the sidecar when WordPress has done what the chosen request asked, and before the sidecar hears of it."""

    def __init__(self, desk: Desk, method: str) -> None:
        self.desk = desk
        self.method = method
        self.done = False

    def __call__(self, request: Received) -> None:
        """The recorder's `before_answer`."""
        if request.method == self.method and not self.done:
            self.done = True
            self.desk.sidecar.kill()


@pytest.mark.parametrize(
    ("method", "end"), [pytest.param("GET", "done", id="before it is sent"), pytest.param("POST", "unknown", id="after it was sent")]
)
def test_a_killed_sidecar_publishes_at_most_once(site, tmp_path, method, end):
    """`kill -9` between approval and answer: what had not been sent is sent by the next process, what had been sent never again."""
    with desk(tmp_path, site) as running:
        number = running.draft("Hours", "Open.")
        hold = held(running.ask_to_publish(number), "medium", ONE_REVIEWER)
        running.recorder.before_answer = killing = Killing(running, method)
        assert running.sidecar.vote(hold, "bob", "reviewer").status == 200
        running.sidecar.ended()
        until(lambda: killing.done, "the kill")

        running.sidecar.start()
        ended = running.sidecar.settled(hold, "bob")
        assert (ended["state"], [vote["person"] for vote in ended["votes"]]) == (end, ["bob"])
        assert [request.header("Authorization") for request in running.writes(number)] == [site.publisher]
        assert site.post(number)["status"] == "publish"
        # The agent is never told to try again what may have happened.
        repeat = running.ask_to_publish(number)
        assert (repeat.status, len(running.writes(number))) == (200 if end == "done" else 502, 1)


def test_the_audit_of_all_this_verifies(wordpress_desk):
    """Every ruling, vote and release of the stories above stands in a log whose chain holds."""
    directory = wordpress_desk.sidecar.house.folder / "audit"
    done = command("audit", "verify", "--directory", directory)
    assert (done.returncode, done.stdout.split()[0]) == (0, "unanchored"), done
