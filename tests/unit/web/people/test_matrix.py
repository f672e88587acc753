"""Every route of the people's listener, console and API alike, by everybody who might knock, with every credential that is none.

The router says which routes there are. What a route of the console is follows from its method: a page, or a part of one that a script
asks for, leads strangers to the door or is 401; a form counts only from a page of the same session. Whatever is neither stands in OPEN,
with the one answer it has for everybody; the API's rows stand in test_every_route.py. Each answer carries the headers of every answer.
"""

from __future__ import annotations

import copy
import re
import time
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import ClientSession, DummyCookieJar

from stagewarden.identity.bearer import new_secret
from stagewarden.identity.sessions import Terms
from stagewarden.identity.terminals import Asking, challenge_of
from stagewarden.identity.tokens import new_token
from stagewarden.model import HoldState
from stagewarden.modes import Kill
from stagewarden.registry import Person, Registry
from stagewarden.store import Revision
from stagewarden.web.people.guard import HEADERS
from stagewarden.web.people.routes import PREFIX
from tests.fakes import PEOPLE, held
from tests.unit.web.people.test_every_route import MAY
from tests.unit.web.people.test_every_route import OPEN as OPEN_API

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from tests.people_listener import Served

COOKIE = "stagewarden"
FORMER = "samir"
KILL = Kill(id="k_1", scope="workflow:other", by="aiko", at_ns=1, reason="")
ASK = Asking(challenge_of("a verifier"), new_secret(), 0, "ines@desk")

# What is neither a page nor a form, and what it says to everybody, whoever they are; a new one must be written here.
OPEN = {
    ("GET", "/static/{name}"): 200,
    ("GET", "/sign-in"): 200,  # or, to whoever is signed in, the way on
    ("POST", "/sign-in"): 403,  # opened in no browser
    ("GET", "/sign-in/away"): 404,  # there is no provider here
    ("GET", "/sign-in/callback"): 401,
    ("POST", "/sign-in/logout"): 400,
    **{(method, PREFIX + path): 422 for method, path in OPEN_API},
}
# Pages that are not for everybody who is signed in: who may. None is a 403 for anybody by default.
RESTRICTED: Mapping[str, set[str]] = {}
# The content of a hold itself: for its seats, its owners, security and privacy; "nobody" is none of them.
CONTENT = ("/holds/{id}/body", "/holds/{id}/preview/")


# What is no state of the gate; `strangers` counts those who were refused, and is to grow.
UNTOLD = {"clock", "registry", "feed", "store", "routes", "strangers"}


@dataclass
class Door:
    """The listener, and somebody at it: with a cookie, with other headers, or with nothing."""

    served: Served
    http: ClientSession
    names: Mapping[str, str]
    wrong: list[str] = field(default_factory=list)

    async def ask(self, method: str, path: str, headers: Mapping[str, str], data: object = None) -> tuple[int, str, str]:
        """Status, where it leads and the kind of answer. Whatever the answer, it has the headers of every answer."""
        where = self.served.url + self.place(path)
        body: dict[str, Any] = {"json": data} if path.startswith(PREFIX) else {"data": data}
        async with self.http.request(method, where, headers=headers, allow_redirects=False, **({} if data is None else body)) as answer:
            for name, value in HEADERS.items():
                if name != "Cache-Control" or not path.startswith("/static/"):
                    self.expect(answer.headers.get(name) == value, f"{method} {path}: {name} is {answer.headers.get(name)}")
            self.expect("Set-Cookie" not in answer.headers or path.startswith("/sign-"), f"{method} {path}: sets a cookie")
            return answer.status, answer.headers.get("Location", ""), answer.content_type

    def place(self, path: str) -> str:
        """A path with names that stand for something."""
        found = max((known for known in self.names if path.startswith(known)), key=len, default="")
        return re.sub(r"\{\w+\}", self.names.get(found, "x"), path)

    def expect(self, holds: object, said: str) -> None:
        """Collected, so that one run shows every route that is wrong."""
        if not holds:
            self.wrong.append(said)

    def of(self, kind: Callable[[str, str], bool]) -> list[tuple[str, str]]:
        """The routes of one kind."""
        return sorted(route for route in self.served.routes if kind(*route))

    def standing(self) -> dict[str, object]:
        """All that the gate holds, to be compared."""
        gate = self.served.gate
        kept = {each.name: getattr(gate, each.name) for each in fields(gate) if each.name not in UNTOLD}
        return copy.deepcopy(kept)


def is_api(_: str, path: str) -> bool:
    """A route of the API."""
    return path.startswith(PREFIX)


def is_open(method: str, path: str) -> bool:
    """A route that asks nobody who they are."""
    return (method.replace("HEAD", "GET"), path) in OPEN


def is_page(method: str, path: str) -> bool:
    """A page of the console."""
    return method in {"GET", "HEAD"} and not is_api(method, path) and not is_open(method, path)


def is_form(method: str, path: str) -> bool:
    """A form of the console."""
    return method == "POST" and not is_api(method, path) and not is_open(method, path)


@pytest.fixture
async def door(served: Served) -> AsyncIterator[Door]:
    """Something of every kind to be asked for."""
    gate, now = served.gate, time.time_ns()
    hold, ruling, grant = gate.add(held(now)), gate.record("deny", "route_not_listed"), gate.offer()
    gate.engaged.append(KILL)
    gate.revisions.append(Revision("c_1", "waiting", "sha256:0", "sha256:1", gate.registry, 1, ()))
    names = {
        "/holds/": hold.id, "/agents/": "drafter-7", "/grants/": grant.id, "/registry/": "c_1", "/workflows/": "newsletter",
        "/rulings/": str(ruling["ruling"]), "/static/": "console.css", f"{PREFIX}/holds/": hold.id, f"{PREFIX}/agents/": "drafter-7",
        f"{PREFIX}/grants/": grant.id, f"{PREFIX}/registry/": "c_1", f"{PREFIX}/rulings/": str(ruling["ruling"]),
    }  # fmt: skip
    async with ClientSession(cookie_jar=DummyCookieJar()) as http:
        yield Door(served, http, names)


def without(served: Served, person: str) -> Registry:
    """The registry after somebody left."""
    data = served.gate.registry.data
    return Registry.of(type(data)(people={**data.people, person: Person(functions=PEOPLE[person], active=False)}, agents=data.agents))


def bearer(token: str) -> dict[str, str]:
    """As a bearer token."""
    return {"Authorization": f"Bearer {token}"}


def cookie(token: str) -> dict[str, str]:
    """As the console's cookie."""
    return {"Cookie": f"{COOKIE}={token}"}


def expired(served: Served, folder: Path) -> dict[str, str]:
    """A program's token that is over."""
    token, sha256 = new_token()
    file = folder / "tokens.yaml"
    file.write_text(file.read_text() + f'- {{sha256: "{sha256}", program: old, scopes: [read, stop, payloads], expires: "2020-01-01"}}\n')
    served.people.reload(served.gate.registry)
    return bearer(token)


def ended(served: Served, _: Path) -> dict[str, str]:
    """A session that was signed out of, in both places."""
    session = served.signed_in("ines")
    served.people.sign_out(session.token)
    return cookie(session.token)


def former(served: Served, *, by_cookie: bool) -> dict[str, str]:
    """Somebody who has left the registry."""
    made = cookie(served.signed_in(FORMER).token) if by_cookie else bearer(served.tokens[FORMER])
    served.people.reload(without(served, FORMER))
    return made


def terminal(served: Served) -> str:
    """A terminal's token."""
    return served.people._sessions.open("ines", served.people._read.users["ines"], Terms("terminal", "ines@desk")).token


# Credentials that are none, or none here. Each is made once, and tried at every route.
STRANGERS: dict[str, Callable[[Served, Path], dict[str, str]]] = {
    "none": lambda _, __: {},
    "malformed-bearer": lambda _, __: {"Authorization": "Bearer \u00e4 x"},
    "another-scheme": lambda _, __: {"Authorization": "Basic aW5lczpjb3JyZWN0IGhvcnNlIGJhdHRlcnk="},
    "unknown-token": lambda _, __: bearer("swp_" + "A" * 43),
    "agents-key": lambda _, __: bearer("sw_drafter-7_" + "A" * 43),
    "expired-program": expired,
    "unknown-session": lambda _, __: bearer("sws_" + "A" * 43) | cookie("sws_" + "A" * 43),
    "ended-session": ended,
    "former-persons-session": lambda served, _: former(served, by_cookie=True),
    "former-persons-token": lambda served, _: former(served, by_cookie=False),
    "terminal-as-cookie": lambda served, _: cookie(terminal(served)),
    "api-session-as-cookie": lambda served, _: cookie(served.signed_in("ines", "bearer").token),
    "token-as-cookie": lambda served, _: cookie(served.tokens["ines"]),
    "cookie-as-bearer": lambda served, _: bearer(served.signed_in("ines").token),
}


def kept_out(method: str, status: int, place: str, kind: str) -> bool:
    """To the door; or, of what a script asks for, 401."""
    return (status == 303 and place.partition("?")[0] == "/sign-in") or (method == "GET" and (status, kind) == (401, "application/problem+json"))


def test_what_the_router_has_is_of_a_kind(served: Served) -> None:
    """A new route of the API has its row; one of the console is a page, a form, or written down as open; and nothing is written that is not there."""
    plain = {(method, path) for method, path in served.routes if method not in {"HEAD", "OPTIONS"}}
    api = {(method, path.removeprefix(PREFIX)) for method, path in plain if is_api(method, path)}
    assert api == MAY.keys() | OPEN_API
    assert {route for route in plain if not is_api(*route) and not is_open(*route) and not is_page(*route) and not is_form(*route)} == set()
    assert {route for route in OPEN if route not in plain} == set()
    assert {("GET", path) for path in RESTRICTED} <= plain


@pytest.mark.parametrize("credential", STRANGERS)
async def test_strangers(door: Door, tmp_path: Path, credential: str) -> None:
    """No route knows them: 401 of the API, the door for a page and for a form; and nothing changed."""
    headers = STRANGERS[credential](door.served, tmp_path)
    before = door.standing()
    for method, path in sorted(door.served.routes):
        if method == "HEAD":
            continue
        said = await door.ask(method, path, headers | ({} if method == "GET" else {"Origin": door.served.url}), {} if method != "GET" else None)
        if is_open(method, path):
            door.expect(said[0] == OPEN[method, path], f"{method} {path}: {said}")
        elif is_api(method, path):
            door.expect(said[0] == 401 and said[2] == "application/problem+json", f"{method} {path}: {said}")
        else:
            door.expect(kept_out(method, *said), f"{method} {path}: {said}")
    assert door.standing() == before
    assert door.wrong == []


async def test_a_credential_counts_in_its_own_place(door: Door) -> None:
    """A bearer token opens no page and sends no form; a cookie calls no API; a terminal's token is that person's, at the API alone."""
    for who in ("ines", "auditor"):
        for method, path in door.of(lambda method, path: is_page(method, path) or is_form(method, path)):
            data = None if method != "POST" else {"csrf": "x"}
            said = await door.ask(method, path, bearer(door.served.tokens[who]) | {"Origin": door.served.url}, data)
            door.expect(kept_out(method, *said), f"{who} {method} {path}: {said}")
    signed_in = cookie(door.served.signed_in("ines").token)
    lent = terminal(door.served)
    for method, path in door.of(is_api):
        if is_open(method, path) or method == "HEAD":
            continue
        said = await door.ask(method, path, signed_in, {} if method != "GET" else None)
        door.expect(said[0] == 401, f"cookie {method} {path}: {said}")
        if method == "GET":
            own, by_terminal = [await door.ask(method, path, bearer(token)) for token in (door.served.tokens["ines"], lent)]
            door.expect(own == by_terminal, f"terminal {method} {path}: {by_terminal}, and {own} by a token")
    assert door.wrong == []


@pytest.mark.parametrize("person", PEOPLE)
async def test_pages(door: Door, person: str) -> None:
    """Every page opens for whoever is signed in, of whichever function or none, unless it is written down as not for them; HEAD as GET."""
    headers = cookie(door.served.signed_in(person).token) | {"Sec-Fetch-Site": "same-origin"}
    for method, path in door.of(is_page):
        said = await door.ask(method, f"{path}?ask={ASK}" if path == "/terminal" else path, headers)
        if person not in RESTRICTED.get(path, set(PEOPLE)):
            door.expect(said[0] == 403, f"{method} {path}: {said}")
        elif path.startswith(CONTENT):
            door.expect(said[0] in ({403, 404} if person == "nobody" else {200, 403, 404}), f"{method} {path}: {said}")
        else:
            door.expect(said[0] in {200, 422} or (said[0] == 404 and "{" in path), f"{method} {path}: {said}")
    assert door.wrong == []


FORGED = {
    "no-token": lambda door, _: ({"x": "y"}, {"Origin": door.served.url}),
    "another-sessions-token": lambda door, _: ({"csrf": door.served.signed_in("mara").csrf}, {"Origin": door.served.url}),
    "the-other-browser-of-this-person": lambda door, _: ({"csrf": door.served.signed_in("aiko").csrf}, {"Origin": door.served.url}),
    "cut-token": lambda door, session: ({"csrf": session.csrf[:-1]}, {"Origin": door.served.url}),
    "from-nowhere": lambda _, session: ({"csrf": session.csrf}, {}),
    "from-another-site": lambda _, session: ({"csrf": session.csrf}, {"Origin": "https://evil.example"}),
    "from-another-port": lambda _, session: ({"csrf": session.csrf}, {"Origin": "http://127.0.0.1:1"}),
    "cross-site": lambda door, session: ({"csrf": session.csrf}, {"Origin": door.served.url, "Sec-Fetch-Site": "cross-site"}),
    "same-site": lambda _, session: ({"csrf": session.csrf}, {"Origin": "null", "Sec-Fetch-Site": "same-site"}),
}


@pytest.mark.parametrize("how", FORGED)
async def test_forged_forms(door: Door, how: str) -> None:
    """Every form, also of whoever may most: without the token of this very session, or from elsewhere, it is refused and nothing changed."""
    session = door.served.signed_in("aiko")
    before = door.standing()
    for method, path in door.of(is_form):
        data, headers = FORGED[how](door, session)
        said = await door.ask(method, path, cookie(session.token) | headers, data)
        door.expect(said[0] == 403, f"{method} {path}: {said}")
    assert door.standing() == before
    assert door.served.people.by_session(session.token) is not None
    assert door.wrong == []


async def test_a_form_is_a_form(door: Door) -> None:
    """JSON, which other sites can be made to send as text, is no form: 415."""
    session = door.served.signed_in("aiko")
    for method, path in door.of(is_form):
        headers = cookie(session.token) | {"Origin": door.served.url, "Content-Type": "text/plain"}
        said = await door.ask(method, path, headers, b'{"csrf": "x"}')
        door.expect(said[0] == 415, f"{method} {path}: {said}")
    assert door.wrong == []


# Forms that do what a route of the API does: the same people may, whichever way they come.
FORMS = {
    "/holds/{id}/vote": ("POST", "/holds/{id}/votes"),
    "/holds/{id}/stop": ("POST", "/holds/{id}/stop"),
    "/holds/{id}/resolve": ("POST", "/holds/{id}/resolve"),
    "/grants/{id}/vote": ("POST", "/grants/{id}/votes"),
    "/agents/{id}/mode": ("PUT", "/agents/{id}/mode"),
    "/stop": ("PUT", "/kill"),
    "/stop/lift": ("DELETE", "/kill"),
}


@pytest.mark.parametrize("person", PEOPLE)
async def test_a_form_is_for_whom_its_act_is(door: Door, person: str) -> None:
    """Whom the API refuses an act, its form refuses too, and nothing changed."""
    gate = door.served.gate
    session = door.served.signed_in(person)
    (grant,) = gate.grants.values()
    for path, (method, act) in FORMS.items():
        if person in MAY[method, act]:
            continue
        gate.engaged[:] = [KILL] if path == "/stop/lift" else []
        hold = gate.add(held(time.time_ns(), state=HoldState.UNKNOWN if path.endswith("resolve") else HoldState.PENDING))
        door.names = {**door.names, "/holds/": hold.id}
        answers = {f"answer-{name}": "yes" for name in hold.questions}
        data = {
            "csrf": session.csrf, "digest": grant.digest if path.startswith("/grants") else hold.digest, "view_digest": hold.view_digest,
            "decision": "approve", "function": "reviewer",
            "result": "done", "evidence": "seen", "mode": "paused", "scope": "all", "kill": "k_1", "reason": "over", **answers,
        }  # fmt: skip
        before = door.standing()
        said = await door.ask("POST", path, cookie(session.token) | {"Origin": door.served.url}, data)
        door.expect(said[0] == 403, f"{path}: {said}")
        after = door.standing()
        door.expect({**after, "seen": None, "reads": None} == {**before, "seen": None, "reads": None}, f"{path}: something changed")
    assert door.wrong == []


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "[::1]"])
async def test_every_route_answers_to_its_own_name_alone(door: Door, host: str) -> None:
    """DNS rebinding (CVE-2025-66414 and its kin): 421 everywhere, for those with a credential too; and nothing changed."""
    await _refused_everywhere(door, {"Host": host}, 421)


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost.evil.example", "http://127.0.0.1:1"])
async def test_every_route_refuses_another_sites_origin(door: Door, origin: str) -> None:
    """Reading as well as writing: wherever a browser names an origin that is not ours, 403; and nothing changed."""
    await _refused_everywhere(door, {"Origin": origin}, 403)


async def _refused_everywhere(door: Door, headers: dict[str, str], status: int) -> None:
    session = door.served.signed_in("aiko")
    before = door.standing()
    for method, path in sorted(door.served.routes):
        known = bearer(door.served.tokens["aiko"]) | cookie(session.token)
        said = await door.ask(method, path, headers | known, {} if method not in {"GET", "HEAD"} else None)
        door.expect(said[0] == status, f"{method} {path}: {said}")
    assert door.standing() == before
    assert door.wrong == []


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
async def test_every_write_comes_from_a_page_of_ours(door: Door, site: str) -> None:
    """What a browser says of where a write comes from is believed where it is bad: 403 everywhere; and nothing changed."""
    session = door.served.signed_in("aiko")
    before = door.standing()
    for method, path in sorted(route for route in door.served.routes if route[0] not in {"GET", "HEAD"}):
        headers = {"Sec-Fetch-Site": site, "Origin": door.served.url} | bearer(door.served.tokens["aiko"]) | cookie(session.token)
        said = await door.ask(method, path, headers, {})
        door.expect(said[0] == 403, f"{method} {path}: {said}")
    assert door.standing() == before
    assert door.wrong == []


async def test_no_route_decompresses(door: Door) -> None:
    """A body that says it is compressed is read by nobody: 415."""
    session = door.served.signed_in("aiko")
    for method, path in sorted(route for route in door.served.routes if route[0] not in {"GET", "HEAD"}):
        headers = {"Content-Encoding": "gzip", "Origin": door.served.url} | bearer(door.served.tokens["aiko"]) | cookie(session.token)
        said = await door.ask(method, path, headers, None)
        door.expect(said[0] == 415, f"{method} {path}: {said}")
    assert door.wrong == []
