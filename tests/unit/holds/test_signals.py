"""What a series of reviews says, and that it says nothing where there are too few (reference/governance.md C2.15, C2.16)."""

import json

import pytest

from stagewarden.clock import NANOSECONDS
from stagewarden.holds.bodies import Kept
from stagewarden.holds.signals import Review, length, measure, signals
from stagewarden.registry import SignalRule

RULE = SignalRule()
SECOND, HOUR = NANOSECONDS, 3600 * NANOSECONDS


def series(count, *, every=HOUR, took=60, person="rita", decision="approve", **changes):
    """So many reviews of one person, one after another, 500 characters (100 words) each."""
    made = {"workflow": "newsletter", "tier": "medium", "length": 500, "in_view": True, "after_hours": False, **changes}
    return [
        Review(person=person, decision=decision, viewed_at_ns=(number + 1) * every, at_ns=(number + 1) * every + took * SECOND, **made)
        for number in range(count)
    ]


def mixed(count, **changes):
    """Careful reviews: every fifth is a no, and nobody has a run."""
    return [*series(count - count // 5, **changes), *series(count // 5, every=5 * HOUR, decision="reject", **changes)]


GIVEN = {
    "careful": (mixed(40), ()),
    "too few to say anything": (series(29, took=1, in_view=False, after_hours=True, every=SECOND), ()),
    "just enough": (series(30), ("run", "always")),
    "faster than anybody reads": (mixed(40, took=5), ("fast",)),
    "as fast as the limit": (mixed(40, took=10), ()),
    "nothing to read has no pace": (mixed(40, took=1, length=0), ()),
    "content not in view": ([*mixed(40), *mixed(10, in_view=False)], ("unread",)),
    "a tenth not in view": ([*mixed(45), *series(4, in_view=False, person="ravi")], ()),
    "a run of one person": ([*series(20), *series(10, person="ravi", decision="reject")], ("run",)),
    "as many of two people are no run": (
        [*series(19), *series(10, person="ravi"), *series(5, person="lena", decision="reject")], (),
    ),
    "everything is approved, by many": (
        [review for number in range(4) for review in series(10, person=f"p{number}")], ("always",),
    ),
    "a burst after hours": (
        [*mixed(40), *series(10, person="ravi", every=60 * SECOND, after_hours=True, took=59)], ("after_hours",),
    ),
    "as many in working hours": ([*mixed(40), *series(10, person="ravi", every=60 * SECOND, took=59)], ()),
    "as many spread over a night": ([*mixed(40), *series(10, person="ravi", every=HOUR // 2, after_hours=True)], ()),
}  # fmt: skip


@pytest.mark.parametrize(("reviews", "expected"), GIVEN.values(), ids=GIVEN)
def test_signals(reviews, expected):
    """Each signal by what makes it and by what almost does; in whatever order the reviews come."""
    assert signals(measure(reviews), RULE) == expected
    assert measure(reversed(reviews)) == measure(reviews)


def test_nothing_was_reviewed():
    """No numbers are made up, and no signal is given, whatever the registry says is enough."""
    nothing = measure(())
    assert (nothing.count, nothing.seconds, nothing.words_per_minute) == (0, None, None)
    assert signals(nothing, SignalRule(minimum=30)) == ()


def test_who_never_looked_has_no_time_and_counts_as_unread():
    """An approval of what was never shown to its person: no pace, but a hundred percent unread."""
    blind = [Review("rita", "newsletter", "medium", "approve", 0, number, 500, in_view=False, after_hours=False) for number in range(40)]
    measures = measure(blind)
    assert (measures.seconds, measures.words_per_minute, measures.unread) == (None, None, 40)
    assert "fast" not in signals(measures, RULE)
    assert "unread" in signals(measures, RULE)


PAGE = {"title": {"rendered": "Old"}, "content": {"raw": "x" * 900, "rendered": "x" * 1000}, "link": "https://x.example/"}
LENGTHS = {
    "all of a new document": ({"title": "Winter opening", "tags": ["a b", "c"]}, None, 18),
    "only what differs": ({"title": "Winter hours", "body": "b b"}, {"title": "Summer hours", "body": "b b"}, 12),
    "what stands there, where the request says only what to do": ({"status": "publish"}, PAGE, 1000),
    "the title, where the request changes it": ({"title": "A new title"}, PAGE, 11),
    "no text at all": ({"count": 3}, None, 0),
}


@pytest.mark.parametrize(("body", "before", "expected"), LENGTHS.values(), ids=LENGTHS)
def test_what_there_is_to_read(body, before, expected):
    """Computed from the stored bytes, never from what the agent says of them."""
    assert length(json.dumps(body).encode(), None if before is None else json.dumps(before).encode()) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [(b"plain words", 11), (b"\xff\xd8\xff", 0), (b"", 0), (b"title=A+b", 9)],
    ids=["text", "an image", "nothing", "a form"],
)
def test_what_there_is_to_read_of_other_bodies(body, expected):
    """Text counts by its characters; what is no text counts as nothing, and the state before may be no JSON either."""
    assert length(body, None) == expected
    assert length(body, b"<html>") == expected


def test_an_act_without_a_body_is_about_what_stands_there():
    """`POST /articles/7/publish`: the article is what there is to read."""
    assert length(b"", b'{"id": "7", "body": "one two"}') == 7


def test_a_body_too_large_for_memory_counts_as_nothing():
    """Nobody reads it on the page either; it is downloaded."""
    assert length(Kept(1 << 30, "sha256:x"), None) == 0
