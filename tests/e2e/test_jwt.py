"""Agents known by JWT, through the whole product: a key set in a file and behind a URL, rotated, withdrawn, out of reach."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiohttp import web
from joserfc.jwk import ECKey

from stagewarden import config as configuration
from stagewarden.app import running
from stagewarden.clock import NANOSECONDS, SystemClock
from tests.e2e.articles import Articles
from tests.e2e.houses import edit
from tests.e2e.processes import SidecarProcess, exchange, until
from tests.product import House, house, serving
from tests.unit.identity.tokens_made_here import key_set, token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from joserfc.jwk import Key

ISSUER, AUDIENCE = "https://issuer.test", "stagewarden"


def jwt_house(folder: Path, newsroom: str, keys: str) -> House:
    """The drafter is known by a token of the issuer, the other agents by keys."""
    made = house(folder, newsroom)
    edit("registry.yaml", "identity: {key: drafter}", f'identity: {{issuer: "{ISSUER}", subject: "workload:drafter"}}')(made)
    entry = f'    - {{kind: jwt, issuer: "{ISSUER}", audience: {AUDIENCE}, keys: "{keys}"}}\n'
    edit("stagewarden.yaml", "    - {kind: key,", f"{entry}    - {{kind: key,")(made)
    return made


def bearer(key: Key, now: float | None = None, **changes: object) -> str:
    """A good token of this key, changed."""
    seconds = int(time.time() if now is None else now)
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "workload:drafter", "iat": seconds, "exp": seconds + 600, **changes}
    return token(claims, key)


def made_key(kid: str) -> Key:
    """A fresh signing key."""
    return ECKey.generate_key("P-256", {"kid": kid}, private=True)


BAD = {
    "another audience": {"aud": "somebody-else"},
    "two audiences": {"aud": [AUDIENCE, "somebody-else"]},
    "no audience": {"aud": None},
    "expired": {"exp": int(time.time()) - 3600},
    "not yet valid": {"nbf": int(time.time()) + 3600},
    "another issuer": {"iss": "https://other.test"},
    "a registered agent's name": {"sub": "briefer"},
}


async def test_agents_by_jwt_of_a_key_set_file(tmp_path):
    """Only what the issuer signed, for us, in time; the token stays here; SIGHUP takes a rotated key set into force and the old one out of it."""
    old, new = made_key("old"), made_key("new")
    async with Articles() as upstream:
        made = jwt_house(tmp_path, upstream.url, "file:jwks.json")
        (tmp_path / "jwks.json").write_bytes(key_set(old))
        sidecar = SidecarProcess(made)

        def draft(credential: str) -> tuple[int, str]:
            reply = sidecar.ask("POST", "/newsroom/articles", credential, json={"title": "x"})
            problem = reply.json.get("type", "").removeprefix("urn:stagewarden:problem:")
            return reply.status, f"{problem}: {reply.json['reasons'][0]['code']}" if problem == "denied" else problem

        try:
            await asyncio.to_thread(sidecar.start)
            good = bearer(old)
            assert await asyncio.to_thread(draft, good) == (200, "")
            assert await asyncio.to_thread(draft, made.keys["briefer"]) == (403, "denied: prohibited")  # keys still count
            for name, changes in BAD.items():
                assert await asyncio.to_thread(draft, bearer(old, **changes)) == (401, "unauthenticated"), name
            assert await asyncio.to_thread(draft, bearer(new)) == (401, "unauthenticated")
            assert await asyncio.to_thread(draft, bearer(old, sub="workload:stranger")) == (403, "denied: unregistered")
            # A stage-bound token is good for its stage alone, whatever the agent may do with another.
            assert await asyncio.to_thread(draft, bearer(old, stagewarden_stage="generate")) == (200, "")
            assert await asyncio.to_thread(draft, bearer(old, stagewarden_stage="edit")) == (403, "denied: stage_not_granted")
            assert await asyncio.to_thread(draft, bearer(old, stagewarden_stage="every")) == (401, "unauthenticated")

            (tmp_path / "jwks.json").write_bytes(key_set(new))
            sidecar.signal(signal.SIGHUP)
            await asyncio.to_thread(until, lambda: draft(bearer(new)) == (200, ""), "the new key")
            assert await asyncio.to_thread(draft, good) == (401, "unauthenticated")
        finally:
            sidecar.close()
    assert len(upstream.requests) >= 2
    assert not [request for request in upstream.requests if good.encode() in request.raw or b"eyJ" in request.raw]


class ShiftedClock(SystemClock):
    """The machine's clocks, later."""

    def __init__(self) -> None:
        self.later = 0.0

    def now_ns(self) -> int:
        """Wall clock."""
        return super().now_ns() + int(self.later * NANOSECONDS)

    def monotonic(self) -> float:
        """Monotonic seconds."""
        return super().monotonic() + self.later


class Issuer:
    """A key set behind a URL; None: its server has a bad day."""

    def __init__(self, *keys: Key) -> None:
        self.published: bytes | None = key_set(*keys)
        self.asked = 0

    def application(self) -> web.Application:
        """One page."""
        application = web.Application()
        application.router.add_get("/keys", self._keys)
        return application

    async def _keys(self, _: web.Request) -> web.Response:
        self.asked += 1
        return web.Response(status=500) if self.published is None else web.Response(body=self.published, content_type="application/json")


@asynccontextmanager
async def drafting(folder: Path, issuer: Issuer, clock: ShiftedClock) -> AsyncIterator[Callable[[Key], Any]]:
    """A product whose drafter is known by tokens of this issuer; what a draft with a token of a key is answered."""
    async with serving(issuer.application()) as address, Articles() as upstream:
        made = jwt_house(folder, upstream.url, f"{address}/keys")
        async with running(configuration.load(made.config), clock=clock) as sidecar:
            assert sidecar.agents_address
            port = sidecar.agents_address[1]

            async def draft(key: Key) -> int:
                headers = {"Authorization": f"Bearer {bearer(key, clock.now_ns() / NANOSECONDS)}", "Content-Type": "application/json"}
                reply = await asyncio.to_thread(exchange, port, "POST", "/newsroom/articles", headers, b'{"title": "x"}')
                return reply.status

            yield draft


async def test_agents_by_jwt_of_a_rotating_url(tmp_path):
    """An unknown key makes us look once per cool-down; a withdrawn one stops counting; an issuer out of reach is a no for keys nobody knows."""
    old, new, unknown = made_key("old"), made_key("new"), made_key("unknown")
    issuer, clock = Issuer(old), ShiftedClock()
    async with drafting(tmp_path, issuer, clock) as draft:
        assert (await draft(old), issuer.asked) == (200, 1)
        issuer.published = key_set(old, new)
        assert (await draft(new), issuer.asked) == (401, 1)  # looked a moment ago: whoever sends unknown keys does not make us ask more
        clock.later += 31
        assert (await draft(new), issuer.asked) == (200, 2)
        assert (await draft(old), issuer.asked) == (200, 2)

        issuer.published = key_set(new)
        clock.later += 301  # keys are looked at again when they have aged
        assert (await draft(new), issuer.asked) == (200, 3)
        clock.later += 31
        assert (await draft(old), issuer.asked) == (401, 4)

        issuer.published = None
        clock.later += 31
        assert (await draft(new), issuer.asked) == (200, 4)
        assert (await draft(unknown), issuer.asked) == (503, 5)
