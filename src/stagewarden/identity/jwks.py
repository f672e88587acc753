"""An issuer's key set, from a file or a URL, kept fresh: fetched again on an unknown `kid` and when it has aged.

Never more often than once per cool-down whatever tokens say, never two fetches at once, and a failed fetch or a bad reply leaves the
last good keys where they are. The token has no say in where keys come from.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeAlias

from stagewarden.errors import BadCredential, CannotTell, ConfigError, Problem
from stagewarden.identity.jws import BadKeySet, parse_key_set

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from joserfc.jwk import Key

    from stagewarden.clock import Clock
    from stagewarden.identity.jws import KeySet

Load: TypeAlias = "Callable[[], Awaitable[bytes]]"

COOL_DOWN = 30.0  # seconds between two attempts
MAX_AGE = 300.0  # seconds after which keys are looked at again, so that a withdrawn key stops counting
DEADLINE = 5.0  # seconds for one attempt
_REMEDY = "give a JWKS with the issuer's public keys"


class JwksSource:
    """`load` gives the bytes; `generation` grows whenever the set of keys changed."""

    def __init__(self, name: str, load: Load, clock: Clock) -> None:
        self._name = name
        self._load = load
        self._clock = clock
        self._lock = asyncio.Lock()
        self._data = b""
        self._keys: KeySet | None = None
        self._attempts = 0
        self._next_attempt = 0.0
        self._fresh_until = 0.0
        self._last_failed = False
        self.generation = 0

    async def open(self, *, remote: bool) -> None:
        """Load now. A set that is unusable, or a file that cannot be read, is ConfigError; a URL may be out of reach for now.

        Once there are good keys, nothing a URL answers is an error: an issuer's bad day must not keep a new registry from loading.
        """
        try:
            await self._attempt()
        except BadKeySet as error:
            if self._keys is None or not remote:
                raise ConfigError((Problem(self._name, 0, "", str(error), _REMEDY),)) from None
        except (CannotTell, OSError, TimeoutError) as error:
            if not remote:
                why = getattr(error, "strerror", None) or "no answer in time"
                raise ConfigError((Problem(self._name, 0, "", f"cannot be read: {why}", _REMEDY),)) from None

    async def key(self, kid: str | None, algorithm: str) -> Key:
        """The key a token means. BadCredential where its issuer publishes none, CannotTell where that could not be found out."""
        if self._clock.monotonic() >= self._fresh_until and not self._lock.locked():
            await self._refresh()
        found = self._pick(kid, algorithm)
        if found is None:
            await self._refresh()
            found = self._pick(kid, algorithm)
        if found is not None:
            return found
        if self._last_failed:
            raise CannotTell("the issuer's keys could not be fetched")
        raise BadCredential("the token names a key its issuer does not publish")

    def _pick(self, kid: str | None, algorithm: str) -> Key | None:
        return None if self._keys is None else self._keys.pick(kid, algorithm)

    async def _refresh(self) -> None:
        """One attempt, unless one was made since we came or the cool-down runs."""
        before = self._attempts
        async with self._lock:
            if self._attempts != before or self._clock.monotonic() < self._next_attempt:
                return
            try:
                await self._attempt()
            except (BadKeySet, CannotTell, OSError, TimeoutError):
                return  # the last good keys stay; `_last_failed` says so to whoever finds no key

    async def _attempt(self) -> None:
        self._last_failed = True
        try:
            async with asyncio.timeout(DEADLINE):
                data = await self._load()
            keys = parse_key_set(data)
        finally:
            self._attempts += 1
            self._next_attempt = self._clock.monotonic() + COOL_DOWN
        if data != self._data:
            self._data, self._keys, self.generation = data, keys, self.generation + 1
        self._last_failed = False
        self._fresh_until = self._clock.monotonic() + MAX_AGE
