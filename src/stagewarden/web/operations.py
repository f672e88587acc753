"""The operators' listener: `/livez`, `/readyz`, `/startupz`, `/metrics` (contract section 6). It decides nothing and shows no secret.

Liveness says that the process answers, and nothing more: restarting it mends neither a full disk nor a policy. Readiness asks
every part anew and says which one will not do; a part that does not answer in time is not ready.
"""

from __future__ import annotations

import asyncio
import ipaddress
from typing import TYPE_CHECKING, TypeAlias

from aiohttp import web

from stagewarden.errors import Refused, StagewardenError
from stagewarden.web import render
from stagewarden.wire.headers import parse_host

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from stagewarden.clock import Clock
    from stagewarden.metrics import Metrics

Check: TypeAlias = "Callable[[], Awaitable[str | None]]"
Details: TypeAlias = "Callable[[], Mapping[str, object]]"
Handler: TypeAlias = "Callable[[web.Request], Awaitable[web.StreamResponse]]"
Refresh: TypeAlias = "Callable[[], Awaitable[None]]"

_KEPT = 1.0  # seconds what a page says may be old
_DEADLINE = 2.0  # seconds for one probe, all parts together
_EVERY, _LATE, _REMEMBER = 0.25, 1.0, 10.0  # seconds


class LoopWatch:
    """Is the event loop late? Run `watch` beside the work; one stall keeps us unready for ten seconds, so that a probe sees it."""

    def __init__(self, clock: Clock, report: Callable[[float], None], *, every: float = _EVERY, late: float = _LATE) -> None:
        self._clock = clock
        self._report = report
        self._every = every
        self._late = late
        self._stalled_at: float | None = None
        self._worst = 0.0

    async def watch(self) -> None:
        """Look until cancelled."""
        while True:
            before = self._clock.monotonic()
            await asyncio.sleep(self._every)
            lag = max(0.0, self._clock.monotonic() - before - self._every)
            self._report(lag)
            if lag > self._late:
                self._stalled_at, self._worst = self._clock.monotonic(), lag

    async def trouble(self) -> str | None:
        """Why we are not ready; None when the loop keeps time."""
        if self._stalled_at is None or self._clock.monotonic() - self._stalled_at > _REMEMBER:
            return None
        return f"the event loop stood still for {self._worst:.1f} s"


class Readiness:
    """Every part that must work before agents are served: a check says None, or why not. `details` are shown, and judge nothing."""

    def __init__(self, checks: Mapping[str, Check], details: Details, *, deadline: float = _DEADLINE) -> None:
        self._checks = checks
        self._deadline = deadline  # seconds for one probe
        self._details = details
        self.known: Mapping[str, str] = {}  # as last asked by `keep`
        self.started = False
        self.draining = False

    async def reasons(self) -> dict[str, str]:
        """Part → why it will not do; empty: ready."""
        if self.draining:
            return {"process": "shutting down"}
        said = await asyncio.gather(*(_ask(check, self._deadline) for check in self._checks.values()))
        found = {part: why for part, why in zip(self._checks, said, strict=True) if why is not None}
        return found if self.started else {"process": "starting", **found}

    async def keep(self) -> None:
        """Ask again and again until cancelled, so that pages can say what does not work without asking themselves."""
        while True:
            self.known = await self.reasons() if self.started else {}
            await asyncio.sleep(_KEPT)

    def details(self) -> Mapping[str, object]:
        """Revisions in force and the last refused reload."""
        return self._details()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


async def _ask(check: Check, deadline: float) -> str | None:
    try:
        async with asyncio.timeout(deadline):
            return await check()
    except TimeoutError:
        return f"no answer within {deadline:g} s"
    except (StagewardenError, OSError) as failure:
        return str(failure) or type(failure).__name__


def operations(readiness: Readiness, metrics: Metrics, refresh: Refresh, hosts: frozenset[str] = frozenset({"localhost"})) -> web.Application:
    """The application; `refresh` sets the gauges that are read at a scrape (holds waiting, stops in force, free space).

    Probes and scrapers come by address; by name only those of `hosts` do, so that no page under a name of its own can read here (CVE-2025-66414).
    """

    @web.middleware
    async def known(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            (value,) = request.headers.getall("Host", [])
            host = parse_host(value)
        except (ValueError, Refused):
            return render.problem("ambiguous_request", "one Host, by its grammar")
        return (
            await handler(request)
            if host in hosts or _is_address(host)
            else render.problem("misdirected", "this listener does not answer to that name")
        )

    async def livez(_: web.Request) -> web.Response:
        return render.health(ok=True, document={"live": True})

    async def readyz(_: web.Request) -> web.Response:
        reasons = await readiness.reasons()
        rows = [{"part": part, "why": why} for part, why in reasons.items()]
        return render.health(ok=not reasons, document={"ready": not reasons, "reasons": rows, "details": dict(readiness.details())})

    async def startupz(_: web.Request) -> web.Response:
        return render.health(ok=readiness.started, document={"started": readiness.started})

    async def exposition(_: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(_DEADLINE):
                await refresh()
        except (StagewardenError, OSError) as failure:
            metrics.error(failure)
        return web.Response(body=metrics.render(), headers={"Content-Type": metrics.content_type})

    app = web.Application(middlewares=[known])
    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/startupz", startupz)
    app.router.add_get("/metrics", exposition)
    return app
