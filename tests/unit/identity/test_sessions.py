"""Sessions as a life cycle: whatever happens, none outlives its limits on either clock; and the throttle's memory is fixed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagewarden.identity.sessions import BEARERS, BROWSER, MAX_PER_PERSON, Place, Sessions, Terms
from stagewarden.identity.throttle import BUCKETS, BURST, Throttle
from tests.unit.identity.people_and_agents import StillClock

IDLE, ABSOLUTE = 100.0, 1000.0
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("pass_"), st.integers(0, 150)), st.tuples(st.just("jump"), st.integers(-2000, 150)), st.tuples(st.just("find"), st.just(0))
    ),
    max_size=40,
)


@given(STEPS)
@settings(max_examples=200, deadline=None)
def test_no_session_outlives_its_limits(steps: list[tuple[str, int]]) -> None:
    """However the clocks move, a found session is neither idle nor too old by either; and what is over stays over."""
    clock = StillClock()
    sessions = Sessions(clock, IDLE, ABSOLUTE)
    session = sessions.open("alice", None)
    opened, seen, over = (clock.wall_ns, clock.mono), (clock.wall_ns, clock.mono), False
    for step, seconds in steps:
        if step != "find":
            getattr(clock, step)(seconds)
            continue
        found = sessions.find(session.token, BROWSER)
        assert found is None or not over
        if found is None:
            over = True
            continue
        for since, limit in ((opened, ABSOLUTE), (seen, IDLE)):
            assert clock.mono - since[1] < limit
            assert clock.wall_ns - since[0] < limit * 1_000_000_000
        seen = (clock.wall_ns, clock.mono)


def test_use_keeps_a_session_until_the_absolute_limit() -> None:
    """Idle is counted from the last use, age from the sign-in."""
    clock = StillClock()
    sessions = Sessions(clock, IDLE, ABSOLUTE)
    token = sessions.open("alice", None).token
    for _ in range(10):
        assert sessions.find(token, BROWSER)
        clock.pass_(99.9)
    assert sessions.find(token, BROWSER)
    clock.pass_(1)
    assert sessions.find(token, BROWSER) is None


def test_a_person_has_a_bounded_number_of_sessions() -> None:
    """The longest unused goes; another person's stay."""
    clock = StillClock()
    sessions = Sessions(clock, IDLE, ABSOLUTE)
    other = sessions.open("bob", None).token
    tokens = []
    for _ in range(MAX_PER_PERSON):
        tokens.append(sessions.open("alice", None).token)
        clock.pass_(1)
    assert sessions.find(tokens[0], BROWSER)
    clock.pass_(1)
    newest = sessions.open("alice", None).token
    standing = [sessions.find(token, BROWSER) is not None for token in (tokens[0], tokens[1], tokens[2], newest, other)]
    assert standing == [True, False, True, True, True]
    assert len(sessions._kept) == MAX_PER_PERSON + 1


def test_a_terminals_session_lives_as_long_as_is_written_used_or_not() -> None:
    """Idleness does not end it, use does not lengthen it; and it drives no browser's session out."""
    clock = StillClock()
    sessions = Sessions(clock, IDLE, ABSOLUTE, 500.0)
    browser = sessions.open("alice", None).token
    for _ in range(MAX_PER_PERSON + 1):
        terminal = sessions.open("alice", None, Terms("terminal", "alice@desk")).token
    short = sessions.open("alice", None, Terms("terminal", "alice@desk", 200.0)).token
    assert sessions.find(browser, BROWSER)
    clock.pass_(199.9)
    assert [sessions.find(token, BEARERS) is not None for token in (terminal, short)] == [True, True]
    clock.pass_(0.1)
    assert [sessions.find(token, BEARERS) is not None for token in (terminal, short)] == [True, False]
    clock.pass_(300)
    assert sessions.find(terminal, BEARERS) is None


@pytest.mark.parametrize(("place", "places"), [("browser", BEARERS), ("bearer", BROWSER), ("terminal", BROWSER)])
def test_a_session_counts_where_it_was_opened_for(place: Place, places: frozenset[Place]) -> None:
    """A cookie's value is no bearer token, and a bearer token no cookie; trying it keeps nothing alive."""
    clock = StillClock()
    sessions = Sessions(clock, IDLE, ABSOLUTE, ABSOLUTE)
    token = sessions.open("alice", None, Terms(place)).token
    clock.pass_(1)
    assert sessions.find(token, places) is None
    (seen,) = sessions.of("alice", token)
    assert (seen.seen_at_ns, seen.here) == (seen.opened_at_ns, True)


def test_a_person_ends_one_session_of_their_own() -> None:
    """By its id, which opens nothing; another's is not there for them."""
    sessions = Sessions(StillClock(), IDLE, ABSOLUTE)
    first, second, other = (sessions.open(person, None).token for person in ("alice", "alice", "bob"))
    (theirs,) = sessions.of("bob", "")
    assert not sessions.end("alice", theirs.id)
    here = next(seen for seen in sessions.of("alice", first) if seen.here)
    assert sessions.end("alice", here.id)
    assert not sessions.end("alice", here.id)
    assert [sessions.find(token, BROWSER) is not None for token in (first, second, other)] == [False, True, True]
    assert sessions.find(theirs.id, BROWSER) is None


def test_over_sessions_leave_the_memory() -> None:
    """At the next sign-in of anybody."""
    clock = StillClock()
    sessions = Sessions(clock, IDLE, ABSOLUTE)
    for number in range(20):
        sessions.open(f"person-{number}", None)
    clock.pass_(IDLE)
    sessions.open("alice", None)
    assert len(sessions._kept) == 1


def test_ids_are_kept_as_hashes() -> None:
    """Whoever reads the memory cannot sign in with it."""
    sessions = Sessions(StillClock(), IDLE, ABSOLUTE)
    session = sessions.open("alice", None)
    assert session.token not in sessions._kept
    assert sessions.find(next(iter(sessions._kept)), BROWSER) is None


def test_the_throttle_has_a_fixed_size_and_leaks() -> None:
    """Any number of names; a full bucket empties with time, and a success does not count."""
    clock = StillClock()
    throttle = Throttle(clock)
    for number in range(20_000):
        throttle.take(f"name-{number}")
    assert len(throttle._levels) == BUCKETS
    throttle = Throttle(clock)
    assert [throttle.take("alice") for _ in range(BURST + 1)] == [True] * BURST + [False]
    throttle.give_back("alice")
    assert [throttle.take("alice"), throttle.take("alice")] == [True, False]
    clock.pass_(31)
    assert [throttle.take("alice"), throttle.take("alice")] == [True, False]
    assert throttle.take("\ud800")
