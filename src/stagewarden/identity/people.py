"""People and programs on the people's plane: OpenID Connect, password, bearer token or session → Caller.

Answers who calls and by what; never what a caller may do (gate). A person who left the registry is nobody from the next request on.
Passwords and persons' tokens are for sandboxes and refuse to load in production.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets as random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias
from urllib.parse import urlsplit

from stagewarden.clock import NANOSECONDS
from stagewarden.config import OidcPeople, PasswordPeople, TokenPeople
from stagewarden.errors import BadCredential, ConfigError, Problem, Refused
from stagewarden.identity import passwords
from stagewarden.identity.adapters import Adapters
from stagewarden.identity.bearer import fingerprint
from stagewarden.identity.fetch import fetch, post
from stagewarden.identity.oidc import Client, Flow, Proven, Strength
from stagewarden.identity.sessions import BEARERS, BROWSER, Sessions, Terms, is_session
from stagewarden.identity.terminals import Codes
from stagewarden.identity.throttle import Throttle
from stagewarden.identity.tokens import TokenGrant, is_token, parse_tokens
from stagewarden.identity.uses import Uses

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stagewarden.clock import Clock
    from stagewarden.config import People as Settings
    from stagewarden.config import Secrets
    from stagewarden.identity.passwords import PasswordHash
    from stagewarden.identity.sessions import Found, Place, Seen, Session
    from stagewarden.identity.terminals import Asking
    from stagewarden.registry import Registry
    from stagewarden.store import Store

Sources: TypeAlias = "tuple[OidcPeople | TokenPeople | PasswordPeople, ...]"

AT_ONCE = 2  # password checks in parallel: each takes a fifth of a second of one core and 16 MiB
QUEUE = 16  # that many more may wait
UNTOLD = 3600.0  # seconds a session lives whose provider does not tell us of a sign-out
CALLBACK = "/sign-in/callback"
_SHOWN = 12  # of a token's SHA-256: enough to find its line
_SANDBOX = "let people sign in with OpenID Connect or give programs tokens; passwords are for `environment: sandbox`"


@dataclass(frozen=True, slots=True)
class Caller:
    """Exactly one of `person` and `program`; `scopes` are a program's. Functions are the registry's to say, at every request.

    `proven` is what a provider confirmed: groups, and how freshly and strictly the person was asked.
    """

    person: str | None
    program: str | None
    scopes: frozenset[str]
    via: Literal["password", "token", "session", "terminal", "adapter"]
    proven: Proven | None = None
    creator: str | None = None  # whose rights bound a program


@dataclass(frozen=True, slots=True)
class ProgramToken:
    """A program's token as it is shown: never what opens it. `id`: how its line in the tokens file begins. `used_ns` 0: not since this is counted."""

    id: str
    program: str
    scopes: tuple[str, ...]
    creator: str | None
    expires_ns: int
    used_ns: int
    state: Literal["good", "expired", "creator_left"]


@dataclass(frozen=True, slots=True)
class _Read:
    """What the files say, and both clocks when they were read."""

    users: Mapping[str, PasswordHash]
    tokens: Mapping[str, TokenGrant]
    at: tuple[int, float]


class People:
    """Reads the files at construction (ConfigError); `reload` reads them again, all of them or nothing."""

    def __init__(self, sources: Sources, secrets: Secrets, registry: Registry, clock: Clock, settings: Settings, *, sandbox: bool) -> None:
        self._settings = sources
        self._secrets = secrets
        self._clock = clock
        self._sandbox = sandbox
        self._registry = registry
        self._read = self._files()
        self.provider = _provider(sources, settings.url, secrets, clock)
        self._adapters = Adapters(settings.adapters, secrets, clock, fetch)
        self.strength = Strength(int(settings.step_up.max_age), settings.step_up.acr)
        session = settings.session
        self._sessions = Sessions(clock, float(session.idle), float(session.absolute), float(session.terminal))
        self._terminal = float(session.terminal)
        self._codes = Codes(clock)
        self._by_person, self._by_peer = Throttle(clock), Throttle(clock)
        self._checking = asyncio.Semaphore(AT_ONCE)
        self._pending = 0
        self.uses = Uses(clock)
        self._decoy_key = random.token_bytes(32)

    @property
    def provider_name(self) -> str | None:
        """What people sign in with: as the configuration calls it, else its host."""
        label = next((one.label for one in self._settings if isinstance(one, OidcPeople)), None)
        return label or (None if self.provider is None else urlsplit(self.provider.issuer).hostname)

    @property
    def password_sign_in(self) -> bool:
        """Whether anybody can sign in with a password here."""
        return bool(self._read.users)

    def reload(self, registry: Registry) -> None:
        """Read again; on ConfigError all stays as it was. A session ends where its person's password changed."""
        self.prepare(registry)()

    def prepare(self, registry: Registry) -> Callable[[], None]:
        """`reload` in two steps: the second one cannot fail."""
        read = self._files()

        def commit() -> None:
            self._read = read
            self._registry = registry

        return commit

    async def sign_in_proven(self, browser: str, answer: Mapping[str, str]) -> tuple[Session, str | None]:
        """A new session by the provider's answer, and where the person wanted to go. BadCredential, Refused, CannotTell.

        The person is whom the registry names with this issuer and subject, never whom an e-mail or a name suggests.
        """
        if self.provider is None:
            raise BadCredential("nobody signs in with OpenID Connect here")
        proven, wanted = await self.provider.finish(browser, answer)
        person = self._registry.person_by_identity(proven.issuer, proven.subject)
        if person is None or not self._listed(person):
            raise Refused("not_a_person", "you are known to the identity provider, and not listed here; ask whoever keeps the registry")
        terms = Terms(lives=await self._untold(proven))
        return self._sessions.open(person, proven, terms, instead_of=wanted.instead_of), wanted.then

    async def by_adapter(self, adapter: str, token: str) -> tuple[Caller, str]:
        """The person whose own token a queue passed on, and what makes that token one. BadCredential, CannotTell."""
        proven, one = await self._adapters.proven(adapter, token)
        person = self._registry.person_by_identity(proven.issuer, proven.subject)
        if person is None or not self._listed(person):
            raise BadCredential("the token's subject is not a person listed here")
        return Caller(person, None, frozenset(), "adapter", proven), one

    async def signed_out(self, logout_token: str) -> None:
        """The provider says that somebody signed out there: their sessions end. BadCredential."""
        if self.provider is None:
            raise BadCredential("nobody signs in with OpenID Connect here")
        subject, sid = await self.provider.signed_out(logout_token)

        def theirs(_: str, proof: object) -> bool:
            return isinstance(proof, Proven) and (subject is None or proof.subject == subject) and (sid is None or proof.sid == sid)

        self._sessions.close_where(theirs)

    def sign_out_everywhere(self, person: str) -> None:
        """End every session of this person."""
        self._sessions.close_where(lambda of, _: of == person)

    async def sign_in(
        self, person: str, password: str, *, peer: str = "", previous: str | None = None, place: Place = "browser"
    ) -> Session:  # fmt: skip
        """A new session. BadCredential without saying which was wrong; Refused `overloaded` after too many failures.

        Steps: (1) this peer and this person may try; (2) one check, as costly for nobody as for somebody; (3) a person of today's
        registry; (4) a new session in place of `previous`, the one the browser had.
        """
        users = self._read.users
        if not users:
            raise BadCredential("nobody signs in with a password here")
        self._may_try(person, peer)
        stored = users.get(person)
        matched = await self._check(password, self._decoy(person, users) if stored is None else stored)
        if not matched or stored is None or self._read.users.get(person) != stored or not self._listed(person):
            raise BadCredential("the person or the password is wrong")
        self._give_back(person, peer)
        return self._sessions.open(person, stored, Terms(place), instead_of=previous)

    async def terminal_lives(self, caller: Caller) -> float:
        """Seconds that a terminal's session would last if this person lent one now."""
        untold = await self._untold(caller.proven)
        return self._terminal if untold is None else min(untold, self._terminal)

    def lend(self, cookie: str, asked: Asking) -> str:
        """A code that lends this browser's sign-in to a terminal. BadCredential where nobody is signed in."""
        found = self._standing(cookie, BROWSER, used=True)
        if found is None:
            raise BadCredential("nobody is signed in here")
        here = next(seen.id for seen in self._sessions.of(found.person, cookie) if seen.here)
        return self._codes.lend(found.person, here, found.proof, asked)

    async def open_terminal(self, code: str, verifier: str) -> Session:
        """A terminal's session for its code; BadCredential says nothing of what was wrong. CannotTell where the provider does not answer."""
        lent = self._codes.take(code, verifier)
        if lent is None:
            raise BadCredential("this code is not known, was used, is over, or is another terminal's")
        lives = await self._untold(lent.proof)
        if not (self._sessions.lasts(lent.person, lent.session) and self._still(lent.person, lent.proof) and self._listed(lent.person)):
            raise BadCredential("whoever lent this code is not signed in any more")
        return self._sessions.open(lent.person, lent.proof, Terms("terminal", lent.label, lives))

    def by_bearer(self, token: str, *, used: bool = True) -> Caller | None:
        """A person's or program's token, or a session's that is used as one; None where it is not, or no longer, good."""
        if is_session(token):
            found = self._standing(token, BEARERS, used=used)
            return None if found is None else _caller(found)
        grant = self._read.tokens.get(fingerprint(token)) if is_token(token) else None  # looked up by its hash: timing tells nothing of the token
        if grant is None or self._over(grant) or not self._stands(grant):
            return None
        if used:
            self.uses.used(fingerprint(token))
        return Caller(grant.person, grant.program, grant.scopes, "token", creator=grant.creator)

    def by_session(self, cookie: str, *, used: bool = True) -> Caller | None:
        """Who signed in with this browser; None where that is over, they left, or the password changed. `used`: something was done."""
        found = self._standing(cookie, BROWSER, used=used)
        return None if found is None else _caller(found)

    async def programs(self, store: Store) -> list[ProgramToken]:
        """Every program's token of the file, by name. StateUnavailable where nobody can say when they were last used."""
        last = await self.uses.last(store)
        found = [
            ProgramToken(
                token[:_SHOWN], grant.program, tuple(sorted(grant.scopes)), grant.creator, grant.expires_ns, last.get(token, 0), self._state(grant)
            )
            for token, grant in self._read.tokens.items()
            if grant.program is not None
        ]
        return sorted(found, key=lambda one: (one.program, one.expires_ns))

    def sessions(self, person: str, asking: str) -> list[Seen]:
        """Where this person is signed in; `asking` is the token of the session that asks."""
        return self._sessions.of(person, asking)

    def end_session(self, person: str, session: str) -> bool:
        """End one of this person's sessions by its id; False where they have no such session."""
        return self._sessions.end(person, session)

    def csrf(self, cookie: str) -> str | None:
        """The form token of a session; None where there is none."""
        return self._sessions.csrf(cookie)

    def csrf_holds(self, cookie: str, given: str) -> bool:
        """Whether a form's token is its session's, in constant time."""
        return self._sessions.csrf_holds(cookie, given)

    def sign_out(self, cookie: str) -> None:
        """End a session; an unknown one changes nothing."""
        self._sessions.close(cookie)

    def _files(self) -> _Read:
        users: dict[str, PasswordHash] = {}
        tokens: dict[str, TokenGrant] = {}
        for number, one in enumerate(self._settings):
            if isinstance(one, TokenPeople):
                tokens |= parse_tokens(self._secrets.text(one.tokens), one.tokens.reference, sandbox=self._sandbox)
            elif isinstance(one, PasswordPeople) and self._sandbox:
                users |= passwords.parse_users(self._secrets.text(one.users), one.users.reference)
            elif isinstance(one, PasswordPeople):
                raise ConfigError((Problem("configuration", 0, f"identity.people[{number}]", "has password users in production", _SANDBOX),))
        return _Read(users, tokens, (self._clock.now_ns(), self._clock.monotonic()))

    def _may_try(self, person: str, peer: str) -> None:
        slow = Refused("overloaded", "too many sign-ins failed or are under way; wait a minute")
        if self._pending >= AT_ONCE + QUEUE or not self._by_peer.take(peer):
            raise slow
        if not self._by_person.take(person):
            self._by_peer.give_back(peer)
            raise slow

    def _give_back(self, person: str, peer: str) -> None:
        self._by_person.give_back(person)
        self._by_peer.give_back(peer)

    async def _check(self, password: str, stored: PasswordHash) -> bool:
        self._pending += 1
        try:
            async with self._checking:
                return await asyncio.to_thread(passwords.verify, password, stored)
        finally:
            self._pending -= 1

    def _decoy(self, person: str, users: Mapping[str, PasswordHash]) -> PasswordHash:
        """Nobody's hash at the cost of one of the users', the same one for the same name: time does not tell who exists."""
        number = int.from_bytes(hashlib.blake2b(person.encode(errors="surrogatepass"), key=self._decoy_key, digest_size=4).digest(), "big")
        return passwords.decoy(list(users.values())[number % len(users)])

    def _standing(self, token: str, places: frozenset[Place], *, used: bool) -> Found | None:
        """A session that is not over, of a person who is still listed, by a proof that is still theirs; else it ends."""
        found = self._sessions.find(token, places, used=used)
        if found is None or (self._still(found.person, found.proof) and self._listed(found.person)):
            return found
        self._sessions.close(token)
        return None

    async def _untold(self, proof: object) -> float | None:
        """How long a session lives of which nobody would tell us that its person signed out at the provider; None: as long as is configured."""
        if not isinstance(proof, Proven) or self.provider is None or await self.provider.tells_of_logout():
            return None
        return UNTOLD

    def _still(self, person: str, proof: object) -> bool:
        """Whether what the session was opened with is still this person's."""
        if isinstance(proof, Proven):
            return self._registry.person_by_identity(proof.issuer, proof.subject) == person
        return self._read.users.get(person) == proof

    def _listed(self, person: str) -> bool:
        entry = self._registry.data.people.get(person)
        return entry is not None and entry.active

    def _stands(self, grant: TokenGrant) -> bool:
        """Whether the person it is, or who created it, is still listed."""
        whose = grant.person or grant.creator
        return whose is None or self._listed(whose)

    def _state(self, grant: TokenGrant) -> Literal["good", "expired", "creator_left"]:
        if self._over(grant):
            return "expired"
        return "good" if self._stands(grant) else "creator_left"

    def _over(self, grant: TokenGrant) -> bool:
        """By the wall clock, or by the monotonic one since the file was read: setting the clock back lengthens nothing."""
        wall, monotonic = self._read.at
        left = (grant.expires_ns - wall) / NANOSECONDS
        return self._clock.now_ns() >= grant.expires_ns or self._clock.monotonic() - monotonic >= left


def _caller(found: Found) -> Caller:
    via: Literal["session", "terminal"] = "terminal" if found.place == "terminal" else "session"
    return Caller(found.person, None, frozenset(), via, found.proof if isinstance(found.proof, Proven) else None)


def _provider(sources: Sources, url: str | None, secrets: Secrets, clock: Clock) -> Flow | None:
    """The identity provider, if there is one; nothing is asked of it before somebody signs in."""
    for one in sources:
        if isinstance(one, OidcPeople):
            secret = None if one.client_secret is None else secrets.text(one.client_secret)
            redirect = f"{(url or '').rstrip('/')}{CALLBACK}"
            return Flow(one.issuer, Client(one.client_id, secret, redirect, one.groups, one.scopes), fetch, post, clock)
    return None
