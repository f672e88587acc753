"""Single values: names, durations, limits, the console's address, the engine, the state database."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from stagewarden.config import state as states
from stagewarden.config.rules.addresses import is_loopback
from stagewarden.config.units import Misfit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stagewarden.config.shapes import Config
    from stagewarden.errors import Problem

ID = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?", re.ASCII)
ID_REMEDY = "use 1 to 64 of a-z, 0-9, `.`, `_`, `-`, beginning and ending with a letter or digit"
MAX_WAIT = 55.0  # contract section 3: below the usual proxy's minute
MAX_POLICY_DEADLINE = 5.0
MIN_WASM_MEMORY = 4 << 20
MAX_CACHED = 65_536
MAX_CACHE_AGE = 10.0
MIN_STALENESS, MAX_STALENESS = 1.0, 60.0
MAX_TERMINAL = 12 * 3600.0  # contract section 2: a token of `stagewarden login` lives 12 h at most
MAX_JSON_DEPTH = 256  # the parsers' own recursion stays far away
MAX_BODY = 64 << 20  # a body is held in memory while it is judged
MAX_SETTLE = 7 * 86_400.0
MAX_DECIDE_WEEKS = 26  # of working time
MAX_SPOOL = 1 << 30  # a body on disk is read again for its digest and, held, stored in the state database


def names(config: Config) -> Iterator[Problem]:
    """The name is the log's origin; upstream names stand in kill scopes and metrics."""
    if not ID.fullmatch(config.name):
        yield config.source.problem(("name",), "is not a name", ID_REMEDY)
    for name in config.upstreams:
        if not ID.fullmatch(name):
            yield config.source.problem(("upstreams", name), "is not a name", ID_REMEDY)


def durations(config: Config) -> Iterator[Problem]:
    """A deadline of nothing would refuse everything, an endless one would never refuse."""
    holds, session = config.holds, config.people.session
    for key in ("decide_within", "use_within"):
        if getattr(holds, key) <= 0:
            yield config.source.problem(("holds", key), "is zero", "give people time, as in 4h")
    if holds.wait > MAX_WAIT:
        yield config.source.problem(("holds", "wait"), f"is longer than {MAX_WAIT:.0f}s", "write at most 55s; clients ask again at the status URL")
    if not 0 < session.idle <= session.absolute:
        yield config.source.problem(
            ("people", "session"),
            "ends by the clock before it ends by idleness, or at once",
            "0s < idle <= absolute, as in {idle: 30m, absolute: 8h}",
        )
    if not 0 < session.terminal <= MAX_TERMINAL:
        yield config.source.problem(
            ("people", "session", "terminal"),
            f"is not between 1s and {MAX_TERMINAL / 3600:.0f}h",
            "write at most 12h; then people sign in anew",
        )
    if not MIN_STALENESS <= config.stops.max_staleness <= MAX_STALENESS:
        yield config.source.problem(
            ("stops", "max_staleness"),
            f"is not between {MIN_STALENESS:.0f}s and {MAX_STALENESS:.0f}s",
            "write a duration between them, as in 5s: it is how long a stop may take to reach a replica that is cut off",
        )
    yield from _deciding(config)
    for name, upstream in config.upstreams.items():
        for key in ("connect_deadline", "answer_deadline"):
            if getattr(upstream, key) <= 0:
                yield config.source.problem(("upstreams", name, key), "is zero", "write a duration, as in 5s")


def _deciding(config: Config) -> Iterator[Problem]:
    """Settling, escalation and working hours: none of them may make a decision impossible."""
    holds = config.holds
    if holds.settle > MAX_SETTLE:
        yield config.source.problem(("holds", "settle"), f"is longer than {MAX_SETTLE / 86_400:.0f}d", "5m is the default")
    for key, share in (("escalate_at", holds.escalate_at), ("remind_at", holds.remind_at)):
        if share is not None and not 0 < share < 1:
            yield config.source.problem(("holds", key), "is not a share of the time to decide", "write a number between 0 and 1, as in 0.5")
    if (hours := holds.hours) is None:
        return
    try:
        ZoneInfo(hours.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        remedy = "write an IANA name, as in Europe/Berlin; where that is one, this machine lacks the time zone database (package tzdata)"
        yield config.source.problem(("holds", "hours", "zone"), "is not a time zone known here", remedy)
    if hours.week <= 0:
        yield config.source.problem(("holds", "hours"), "leaves no time to work", 'days: [mon, …], from: "09:00", to: "18:00"')
    elif holds.decide_within > MAX_DECIDE_WEEKS * hours.week:
        message = f"is more than {MAX_DECIDE_WEEKS} weeks of `hours`"
        yield config.source.problem(("holds", "decide_within"), message, "give people less time, or longer hours")


def limits(config: Config) -> Iterator[Problem]:
    """Bounds that bound."""
    for key in (
        "body",
        "spool",
        "target",
        "headers",
        "header_bytes",
        "json_depth",
        "header_deadline",
        "body_deadline",
        "inflight_per_agent",
        "inflight",
        "connections",
        "holds_per_agent",
    ):
        if getattr(config.limits, key) <= 0:
            yield config.source.problem(("limits", key), "is not above zero", "write a positive limit")
    if config.limits.json_depth > MAX_JSON_DEPTH:
        yield config.source.problem(("limits", "json_depth"), f"is above {MAX_JSON_DEPTH}", "64 is plenty")
    if config.limits.body > MAX_BODY:
        yield config.source.problem(("limits", "body"), f"is above {MAX_BODY >> 20}MiB", "a body is kept in memory while it is judged")
    if config.limits.spool > MAX_SPOOL:
        yield config.source.problem(("limits", "spool"), f"is above {MAX_SPOOL >> 30}GiB", "write at most 1GiB, as in 64MiB")
    for key in ("reserve", "segment"):
        if getattr(config.audit, key) <= 0:
            yield config.source.problem(("audit", key), "is zero", "write a size, as in 64MiB")


def people(config: Config) -> Iterator[Problem]:
    """Where links to the console lead: an origin, and TLS except on this machine."""
    if config.people.url is None:
        return
    url = urlsplit(config.people.url)
    if url.scheme not in {"http", "https"} or not url.hostname or url.path not in {"", "/"} or url.query or url.fragment or "@" in url.netloc:
        yield config.source.problem(("people", "url"), "is not an origin", "write https://HOST, without path")
    elif url.scheme == "http" and not is_loopback(url.hostname) and config.environment == "production":
        yield config.source.problem(("people", "url"), "is plain http", "people sign in there: serve it over https")


def policy(config: Config) -> Iterator[Problem]:
    """The engine is whole, its deadline is one, and nobody on the way can answer in its place."""
    settings, place = config.policy, ("policy",)
    if not 0 < settings.deadline <= MAX_POLICY_DEADLINE:
        yield config.source.problem((*place, "deadline"), f"is not between 1ms and {MAX_POLICY_DEADLINE:.0f}s", "200ms is the default")
    if settings.memory < MIN_WASM_MEMORY:
        yield config.source.problem((*place, "memory"), "is below 4MiB", "64MiB is the default")
    if settings.cache is not None:
        if not 0 < settings.cache.entries <= MAX_CACHED:
            yield config.source.problem((*place, "cache", "entries"), f"is not between 1 and {MAX_CACHED}", "1024 is the default")
        if not 0 < settings.cache.age <= MAX_CACHE_AGE:
            yield config.source.problem((*place, "cache", "age"), f"is not between 1ms and {MAX_CACHE_AGE:.0f}s", "2s is the default")
    if "://" in settings.bundle:
        yield config.source.problem(
            (*place, "bundle"), "is not in this release: bundles by URL", "write builtin, a directory of Rego, or bundle.tar.gz"
        )
    elif not settings.bundle.strip():
        yield config.source.problem((*place, "bundle"), "is blank", "write builtin, a directory of Rego, or bundle.tar.gz")
    if settings.engine == "opa" and settings.opa is None:
        yield config.source.problem((*place, "engine"), "is opa, and no OPA is named", 'add `opa: {url: "unix:/run/opa/opa.sock"}`')
    if settings.opa is not None:
        yield from _opa(config, settings.opa.url, has_token=settings.opa.token is not None)


def _opa(config: Config, text: str, *, has_token: bool) -> Iterator[Problem]:
    place = ("policy", "opa", "url")
    if text.startswith("unix:"):
        if not text.removeprefix("unix:").startswith("/"):
            yield config.source.problem(place, "names no absolute socket path", "write unix:/run/opa/opa.sock")
        return
    url = urlsplit(text)
    if url.scheme not in {"http", "https"} or not url.hostname or url.path not in {"", "/"} or url.query or url.fragment or "@" in url.netloc:
        yield config.source.problem(place, "is not an OPA address", "write unix:/PATH, http://127.0.0.1:8181 or https://HOST:PORT")
        return
    if url.scheme == "http" and not is_loopback(url.hostname):
        yield config.source.problem(place, "is plain http to another machine", "use https or a unix socket: whoever answers there decides")
    if config.environment == "production" and not has_token:
        yield config.source.problem(("policy", "opa"), "lacks a token", "a TCP OPA needs one in production: add `token: file:secrets/opa-token`")


def state(config: Config) -> Iterator[Problem]:
    """SQLite by path, or PostgreSQL by URL: whoever is on the way to it could write an approval."""
    try:
        place = states.parse(config.state)
    except Misfit as misfit:
        yield config.source.problem(("state",), misfit.message, misfit.remedy)
        return
    if not isinstance(place, states.Postgresql):
        return
    if not place.verified and not place.local and config.environment == "production":
        yield config.source.problem(
            ("state",), "goes to another machine without TLS", "write sslmode=verify-full, and sslrootcert where you have your own"
        )
    if isinstance(place.password, str) and config.environment == "production":
        yield config.source.problem(("state",), "holds a password", "keep it out of this file: `?password=file:PATH` or `?password=env:NAME`")
