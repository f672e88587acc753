"""Signed-in people, in memory: a restart signs everybody out. Ids are 256 random bits and kept as their SHA-256.

A session knows who signed in and when, never what that person may do: that is read from the registry at every request.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stagewarden.clock import NANOSECONDS
from stagewarden.identity.bearer import fingerprint, is_secret, new_secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from stagewarden.clock import Clock

PREFIX = "sws_"
MAX_PER_PERSON = 8


@dataclass(frozen=True, slots=True)
class Session:
    """What a sign-in gives: `token` goes into the cookie (or after `Bearer`), `csrf` into every form."""

    person: str
    expires_at_ns: int
    token: str = field(repr=False)
    csrf: str = field(repr=False)


@dataclass(slots=True)
class _Kept:
    """One session as kept; `proof` is what it was opened with, so that a changed password ends it."""

    person: str
    proof: object = field(repr=False)
    csrf: str = field(repr=False)
    opened: tuple[int, float]
    seen: tuple[int, float]
    lives: float  # seconds, used or not


class Sessions:
    """Opened, found, closed. Over when idle or too old by the wall clock or the monotonic one, whichever says so first."""

    def __init__(self, clock: Clock, idle: float, absolute: float) -> None:
        self._clock = clock
        self._idle = idle
        self._absolute = absolute
        self._kept: dict[str, _Kept] = {}

    def open(self, person: str, proof: object, *, instead_of: str | None = None, at_most: float | None = None) -> Session:
        """A new id at every sign-in (session fixation); the one shown before ends, and so does the person's longest unused beyond the bound.

        `at_most`: seconds it lives, where that is less than the configured limit.
        """
        lives = self._absolute if at_most is None else min(at_most, self._absolute)
        if instead_of is not None:
            self.close(instead_of)
        self._drop_over()
        own = sorted((kept.seen[1], name) for name, kept in self._kept.items() if kept.person == person)
        for _, name in own[: max(0, len(own) - MAX_PER_PERSON + 1)]:
            del self._kept[name]
        session = Session(person, self._clock.now_ns() + round(lives * NANOSECONDS), PREFIX + new_secret(), new_secret())
        now = (self._clock.now_ns(), self._clock.monotonic())
        self._kept[fingerprint(session.token)] = _Kept(person, proof, session.csrf, now, now, lives)
        return session

    def find(self, token: str, *, used: bool = True) -> tuple[str, object] | None:
        """Person and proof of a session that is not over; using it keeps it from being idle, looking whether it is over does not."""
        kept = self._get(token)
        if kept is None:
            return None
        if used:
            kept.seen = (self._clock.now_ns(), self._clock.monotonic())
        return kept.person, kept.proof

    def csrf(self, token: str) -> str | None:
        """The session's form token; None where there is no such session."""
        kept = self._get(token)
        return None if kept is None else kept.csrf

    def csrf_holds(self, token: str, given: str) -> bool:
        """Whether a form came from this session, in constant time."""
        expected = self.csrf(token)
        return expected is not None and hmac.compare_digest(expected.encode(), given.encode(errors="surrogatepass"))

    def close(self, token: str) -> None:
        """Sign out; an unknown token changes nothing."""
        if is_session(token):
            self._kept.pop(fingerprint(token), None)

    def close_where(self, theirs: Callable[[str, object], bool]) -> None:
        """End every session of whose person and proof this is true."""
        self._kept = {name: kept for name, kept in self._kept.items() if not theirs(kept.person, kept.proof)}

    def _get(self, token: str) -> _Kept | None:
        if not is_session(token):
            return None
        name = fingerprint(token)
        kept = self._kept.get(name)
        if kept is not None and self._over(kept):
            del self._kept[name]
            return None
        return kept

    def _over(self, kept: _Kept) -> bool:
        return self._passed(kept.opened, kept.lives) or self._passed(kept.seen, self._idle)

    def _passed(self, since: tuple[int, float], limit: float) -> bool:
        return self._clock.now_ns() - since[0] >= limit * NANOSECONDS or self._clock.monotonic() - since[1] >= limit

    def _drop_over(self) -> None:
        self._kept = {name: kept for name, kept in self._kept.items() if not self._over(kept)}


def is_session(token: str) -> bool:
    """Whether this is whole and of our form."""
    return token.startswith(PREFIX) and is_secret(token.removeprefix(PREFIX))
