"""When a hold no longer asks the right people."""

import pytest
from msgspec.structs import replace

from stagewarden.classify import Looked
from stagewarden.gate.successor import stricter, successor
from stagewarden.model import Ask, Question, Reason, Seat, Tier

REASON = (Reason("restricted", "r", "t"),)


@pytest.mark.parametrize(
    ("tier", "seats", "more"),
    [
        (Tier.MEDIUM, (Seat(("reviewer",), 1),), False),
        (Tier.LOW, (Seat(("reviewer",), 1),), False),
        (Tier.HIGH, (Seat(("reviewer",), 1),), True),
        (Tier.MEDIUM, (Seat(("reviewer",), 2),), True),
        (Tier.MEDIUM, (Seat(("reviewer",), 1), Seat(("privacy",), 1)), True),
        (Tier.MEDIUM, (Seat(("privacy",), 1),), True),
        (Tier.MEDIUM, (Seat(("legal", "reviewer"), 1),), False),
        (Tier.MEDIUM, (Seat(("legal", "reviewer"), 2),), True),
    ],
)
def test_only_more_people_or_a_higher_tier_is_stricter(a_hold, tier, seats, more):
    """A looser verdict changes nothing."""
    assert stricter(Ask(tier, REASON, seats), a_hold) is more


def test_the_successor_has_the_same_bytes_and_no_approval(a_hold):
    """The linked hold asks about the same request; what was looked up anew is what the next people see."""
    question = Question({"approval": {"hold": "h_1"}, "request": {"digest": a_hold.digest}})
    linked = successor(a_hold, Ask(Tier.HIGH, REASON, (Seat(("legal",), 1),)), question, Looked({}, b"now", "draft", "sha256:2"))
    assert (linked.request, linked.digest, linked.repeat_digest) == (a_hold.request, a_hold.digest, a_hold.repeat_digest)
    assert (linked.question["approval"], linked.before, linked.lookup_digest, linked.verdict.tier) == (None, b"now", "sha256:2", Tier.HIGH)
    assert successor(replace(a_hold, before=b"then"), linked.verdict, question, None).before == b"then"
