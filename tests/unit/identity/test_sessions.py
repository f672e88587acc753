"""Sessions as a life cycle: whatever happens, none outlives its limits on either clock; and the throttle's memory is fixed."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from stagewarden.identity.sessions import MAX_PER_PERSON, Sessions
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
        found = sessions.find(session.token)
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
        assert sessions.find(token)
        clock.pass_(99.9)
    assert sessions.find(token)
    clock.pass_(1)
    assert sessions.find(token) is None


def test_a_person_has_a_bounded_number_of_sessions() -> None:
    """The longest unused goes; another person's stay."""
    clock = StillClock()
    sessions = Sessions(clock, IDLE, ABSOLUTE)
    other = sessions.open("bob", None).token
    tokens = []
    for _ in range(MAX_PER_PERSON):
        tokens.append(sessions.open("alice", None).token)
        clock.pass_(1)
    assert sessions.find(tokens[0])
    clock.pass_(1)
    newest = sessions.open("alice", None).token
    assert [sessions.find(token) is not None for token in (tokens[0], tokens[1], tokens[2], newest, other)] == [True, False, True, True, True]
    assert len(sessions._kept) == MAX_PER_PERSON + 1


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
    assert sessions.find(next(iter(sessions._kept))) is None


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
