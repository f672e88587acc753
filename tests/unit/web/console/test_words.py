"""Sentences and times."""

from __future__ import annotations

import pytest

from stagewarden.model import HoldState
from stagewarden.web.console import when, words
from tests.fakes import HOUR, held

NOON = 1_795_262_400_000_000_000  # 2026-11-21T12:00:00Z
MINUTE = HOUR // 60


@pytest.mark.parametrize(
    ("kind", "body", "sentence"),
    [
        ("post.publish", {"title": "Hours"}, "Publish the post “Hours” on newsroom-site"),
        ("post.change_live", {"title": "Hours"}, "Change the live post “Hours” on newsroom-site"),
        ("social_post.publish", {}, "Publish the social post on newsroom-site"),
        ("post.frobnicate", {"title": "Hours"}, "Export (post.frobnicate) “Hours” on newsroom-site"),
        ("post.publish", {"title": "x” on internal. “"}, "Publish the post “x\u2019 on internal. \u2019” on newsroom-site"),
    ],
)
def test_effect(kind: str, body: dict[str, object], sentence: str) -> None:
    """Verb first; the agent's title quoted, and unable to end its quotation."""
    assert str(words.effect(held(NOON, body, kind=kind), payload=True)) == sentence


@pytest.mark.parametrize(
    ("minutes", "said"),
    [(0, "under a minute"), (1, "1 minute"), (30, "30 minutes"), (480, "8 hours"), (61, "1 hour 1 minute"), (2880, "2 days"), (1500, "1 day 1 hour")],
)
def test_a_span_in_whole_words(minutes: int, said: str) -> None:
    """As a sentence says it."""
    assert when.whole(minutes * MINUTE + 1) == said


def test_effect_without_payload() -> None:
    """Nothing of the content is told to who may not see it."""
    assert "Winter" not in str(words.effect(held(NOON), payload=False))


@pytest.mark.parametrize(
    ("called", "sentence"),
    [
        ("Hours", "Publish the post “Hours” on newsroom-site"),
        ("x” on internal. “", "Publish the post “x\u2019 on internal. \u2019” on newsroom-site"),
        ("\u200b" * 20, f"Publish the post “{('[U+200B zero width]' * 20)[:200]}… (cut here)” on newsroom-site"),
        ("", "Publish the post 1842 on newsroom-site"),
    ],
    ids=["a title", "one that would end its quotation", "one that grows by the names of what it hides", "none"],
)
def test_effect_in_a_list(called: str, sentence: str) -> None:
    """What the list was told the thing is called, quoted as on its own page and no longer than a row takes."""
    hold = held(NOON, before={"title": "Hours"})
    assert str(words.effect(hold, payload=False, called=called)) == sentence


@pytest.mark.parametrize("kind", ["none", "compensate", "restore", "something else"])
def test_reversibility(kind: str) -> None:
    """Every value is said; an unknown one is quoted, not guessed."""
    hold = held(NOON)
    hold.question["action"]["reversible"] = kind  # type: ignore[index, call-overload]
    assert words.reversibility(hold).startswith("It leaves the company at once. ")
    assert words.recallable(hold) is (kind != "none")


def test_every_state_has_words() -> None:
    """No state is shown without saying what it means."""
    assert words.STANDINGS.keys() == set(HoldState)


@pytest.mark.parametrize(
    ("minutes", "left", "tone", "group"),
    [
        (-1, "expired, a no", "red", "Due within the hour"),
        (0.5, "under 1 min", "red", "Due within the hour"),
        (22, "22 min", "red", "Due within the hour"),
        (100, "1 h 40 min", "amber", "Later today"),
        (180, "3 h", "ink", "Later today"),
        (24 * 60, "1 d", "ink", "Tomorrow"),
        (52 * 60, "2 d 4 h", "ink", "Later"),
    ],
)
def test_due(minutes: float, left: str, tone: str, group: str) -> None:
    """Words, share and group; amber from half, red in the last tenth."""
    due = when.due(NOON - 60 * MINUTE if minutes > 60 else NOON - 240 * MINUTE, NOON + int(minutes * MINUTE), NOON)
    if minutes == 100:
        due = when.due(NOON - 200 * MINUTE, NOON + 100 * MINUTE, NOON)
    assert (due.left, due.tone, due.group) == (left, tone, group)


@pytest.mark.parametrize(("ns", "clock"), [(NOON, "12:00 UTC"), (NOON + 24 * HOUR, "22 Nov 12:00 UTC"), (NOON + 9000 * HOUR, "1 Dec 2027 12:00 UTC")])
def test_moment(ns: int, clock: str) -> None:
    """The date when it is not today, the year when it is not this one."""
    assert when.moment(ns, NOON).clock == clock
