"""Signed-in people, in memory: a restart signs everybody out. Ids are 256 random bits and kept as their SHA-256.

A session knows who signed in, where and when, never what that person may do: that is read from the registry at every request. One of a
browser is worth nothing as a bearer token, and one of a terminal nothing as a cookie.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from stagewarden.clock import NANOSECONDS, new_id
from stagewarden.identity.bearer import fingerprint, is_secret, new_secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from stagewarden.clock import Clock

PREFIX = "sws_"
MAX_PER_PERSON = 8  # in each place

# Where a session is used: in a browser's cookie; as a bearer token, by a password (`POST sessions`) or by `stagewarden login`.
Place: TypeAlias = Literal["browser", "bearer", "terminal"]
BROWSER: frozenset[Place] = frozenset({"browser"})
BEARERS: frozenset[Place] = frozenset({"bearer", "terminal"})


@dataclass(frozen=True, slots=True)
class Session:
    """What a sign-in gives: `token` goes into the cookie (or after `Bearer`), `csrf` into every form."""

    person: str
    expires_at_ns: int
    token: str = field(repr=False)
    csrf: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a session is opened for. `label`: what a terminal calls itself. `lives`: seconds, used or not, where that is less than the limit."""

    place: Place = "browser"
    label: str = ""
    lives: float | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """Whose session, by what it was opened, and where it is used."""

    person: str
    proof: object = field(repr=False)
    place: Place


@dataclass(frozen=True, slots=True)
class Seen:
    """One session as its person is shown it: `id` ends it, and opens nothing."""

    id: str
    place: Place
    label: str
    opened_at_ns: int
    seen_at_ns: int
    ends_at_ns: int
    here: bool  # the one that asks


@dataclass(slots=True)
class _Kept:
    """One session as kept; `proof` is what it was opened with, so that a changed password ends it."""

    id: str
    person: str
    proof: object = field(repr=False)
    csrf: str = field(repr=False)
    opened: tuple[int, float]
    seen: tuple[int, float]
    lives: float  # seconds, used or not
    idle: float  # seconds, unused
    place: Place
    label: str


class Sessions:
    """Opened, found, closed. Over when idle or too old by the wall clock or the monotonic one, whichever says so first.

    One of a terminal is not ended by being idle: it lives for `terminal` seconds, and no longer.
    """

    def __init__(self, clock: Clock, idle: float, absolute: float, terminal: float = 0.0) -> None:
        self._clock = clock
        self._idle = idle
        self._absolute = absolute
        self._terminal = terminal
        self._kept: dict[str, _Kept] = {}

    def open(self, person: str, proof: object, terms: Terms = Terms(), *, instead_of: str | None = None) -> Session:
        """A new id at every sign-in (session fixation); the one shown before ends, and so does the person's longest unused beyond the bound."""
        limit, idle = (self._terminal, self._terminal) if terms.place == "terminal" else (self._absolute, self._idle)
        lives = limit if terms.lives is None else min(terms.lives, limit)
        if instead_of is not None:
            self.close(instead_of)
        self._drop_over()
        own = sorted((kept.seen[1], name) for name, kept in self._kept.items() if kept.person == person and kept.place == terms.place)
        for _, name in own[: max(0, len(own) - MAX_PER_PERSON + 1)]:
            del self._kept[name]
        now = (self._clock.now_ns(), self._clock.monotonic())
        session = Session(person, now[0] + round(lives * NANOSECONDS), PREFIX + new_secret(), new_secret())
        kept = _Kept(new_id("s", now[0]), person, proof, session.csrf, now, now, lives, idle, terms.place, terms.label)
        self._kept[fingerprint(session.token)] = kept
        return session

    def find(self, token: str, places: frozenset[Place], *, used: bool = True) -> Found | None:
        """A session of these places that is not over; using it keeps it from being idle, looking whether it is over does not."""
        kept = self._get(token)
        if kept is None or kept.place not in places:
            return None
        if used:
            kept.seen = (self._clock.now_ns(), self._clock.monotonic())
        return Found(kept.person, kept.proof, kept.place)

    def of(self, person: str, asking: str) -> list[Seen]:
        """A person's sessions, the last used first; `asking` is the token of the one that asks."""
        self._drop_over()
        here = fingerprint(asking)
        own = [
            Seen(kept.id, kept.place, kept.label, kept.opened[0], kept.seen[0], kept.opened[0] + round(kept.lives * NANOSECONDS), name == here)
            for name, kept in self._kept.items()
            if kept.person == person
        ]
        return sorted(own, key=lambda seen: (-seen.seen_at_ns, seen.id))

    def lasts(self, person: str, session: str) -> bool:
        """Whether this person's session of this id is not over."""
        return any(kept.person == person and kept.id == session and not self._over(kept) for kept in self._kept.values())

    def end(self, person: str, session: str) -> bool:
        """End one of this person's sessions by its id; False where they have no such session."""
        found = [name for name, kept in self._kept.items() if kept.person == person and kept.id == session]
        for name in found:
            del self._kept[name]
        return bool(found)

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
        return self._passed(kept.opened, kept.lives) or self._passed(kept.seen, kept.idle)

    def _passed(self, since: tuple[int, float], limit: float) -> bool:
        return self._clock.now_ns() - since[0] >= limit * NANOSECONDS or self._clock.monotonic() - since[1] >= limit

    def _drop_over(self) -> None:
        self._kept = {name: kept for name, kept in self._kept.items() if not self._over(kept)}


def is_session(token: str) -> bool:
    """Whether this is whole and of our form."""
    return token.startswith(PREFIX) and is_secret(token.removeprefix(PREFIX))
