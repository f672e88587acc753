"""The frame of every console page: templates, the files beside them, who is signed in, and a problem as a page."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

import aiohttp_jinja2
import jinja2
from aiohttp import web

from stagewarden.clock import NANOSECONDS
from stagewarden.identity import terminals
from stagewarden.web import render
from stagewarden.web.console import health, onward, recorded, when

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stagewarden.clock import Clock
    from stagewarden.identity.people import Caller
    from stagewarden.web.people.guard import Guard
    from stagewarden.web.people.ports import Gate, Settings

_TYPES = {"console.css": "text/css", "console.js": "text/javascript", "mark.svg": "image/svg+xml"}
WAITS = web.RequestKey("waits", object)  # what waits for the reader, as `entry` found it


@dataclass(frozen=True, slots=True)
class Me:
    """The reader."""

    name: str
    initials: str
    functions: tuple[str, ...]


class Site:
    """Renders templates with what every page needs."""

    def __init__(self, gate: Gate, guard: Guard, settings: Settings, clock: Clock) -> None:
        self._gate = gate
        self._people = guard.people
        self._guard = guard
        self._settings = settings
        self._clock = clock
        static = files(__package__).joinpath("static")
        self._static = {name: static.joinpath(name).read_bytes() for name in _TYPES}

    def attach(self, application: web.Application) -> None:
        """Give the application our templates: everything escaped, an unknown name an error."""
        environment = aiohttp_jinja2.setup(
            application,
            loader=jinja2.PackageLoader(__package__ or ""),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            filters={"thousands": lambda number: f"{number:,}"},
        )
        style, script = (hashlib.sha256(self._static[name]).hexdigest()[:16] for name in ("console.css", "console.js"))
        environment.globals.update(style=style, script=script, name=self._settings.name, environment=self._settings.environment)

    def file(self, name: str) -> web.Response | None:
        """A static file."""
        return render.asset(self._static[name], _TYPES[name]) if name in self._static else None

    def bare(self, request: web.Request, template: str, values: Mapping[str, object], code: str | None = None) -> web.Response:
        """A page without the frame; with the status of a problem's code, if it tells of one."""
        return render.page(aiohttp_jinja2.render_string(template, request, values), code)

    def problem(self, request: web.Request, code: str, detail: str | None) -> web.Response:
        """A refusal as a page."""
        return self.bare(request, "problem.html", {"heading": render.title_of(code), "text": detail or ""}, code)

    def page(self, request: web.Request, caller: Caller, template: str, values: Mapping[str, object], code: str | None = None) -> web.Response:
        """A page in the frame, for somebody signed in."""
        now = self._clock.now_ns()
        condition = self._settings.condition()
        frame = {
            "me": self._me(caller), "csrf": self._guard.form_token(request), "key": secrets.token_urlsafe(12), "waits": request.get(WAITS),
            "shown": when.moment(now, now).clock, "said": None, "refused": None, "waiting": None, "onward": onward.back(onward.page_of(request)),
            "undone": request.method != "POST" and request.query.get(onward.UNDONE) == "yes",
            "troubles": health.troubles(condition.troubles), "health": health.foot(condition),
            "toast": recorded.recorded(request.query),
        }  # fmt: skip
        return self.bare(request, template, {**frame, **values}, code)

    def sign_in_page(self, request: web.Request, then: str | None, *, failed: tuple[str, str] | None = None, person: str = "") -> web.Response:
        """The door. A deep link names the hold and nothing of it."""
        door = request.cookies.get(self._guard.door_cookie) or self._guard.new_door()
        # A link followed from elsewhere comes without our SameSite=Strict cookie; asked again by our own page, it brings it.
        terminal, hold = terminals.asking(then), onward.hold_of(then)
        crossed = request.headers.get("Sec-Fetch-Site") == "cross-site" and failed is None
        values = {
            "failed": None if failed is None else failed[1],
            "person": person,
            "then": then,
            "away": onward.door(then, "/sign-in/away"),
            "then_hold": hold is not None,
            "opens": onward.opens(then),
            "undone": onward.undone(then),
            "then_letters": None if terminal is None else terminal.letters,
            "again": onward.door(then) if crossed else None,
            "csrf": self._guard.door_token(door),
            "provider": self._people.provider_name,
            "password": self._people.password_sign_in or self._people.provider is None,
            "idle": when.whole(int(self._settings.session_idle * NANOSECONDS)),
            "absolute": when.whole(int(self._settings.session_absolute * NANOSECONDS)),
        }
        response = self.bare(request, "sign_in.html", values, None if failed is None else failed[0])
        self._guard.set_cookie(response, self._guard.door_cookie, door)
        return response

    def _me(self, caller: Caller) -> Me:
        name = caller.person or ""
        initials = "".join(part[0] for part in re.split(r"[\W_]+", name) if part)[:2].upper()
        return Me(name, initials, tuple(sorted(self._gate.functions(caller))))
