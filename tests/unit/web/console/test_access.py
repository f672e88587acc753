"""Where people are signed in, as they see it; and the page on which a terminal is lent a sign-in: who may, by what, and what it then gets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import ClientSession, CookieJar

from stagewarden.config import OidcPeople, Secrets
from stagewarden.config import People as PeopleSettings
from stagewarden.identity.bearer import new_secret
from stagewarden.identity.people import People
from stagewarden.identity.terminals import Asking, challenge_of
from tests.unit.web.console.test_pages import get, post
from tests.unit.web.people.test_guard import bearer, sign_in

if TYPE_CHECKING:
    from tests.people_listener import Served

API = "/api/v1"
VERIFIER, STATE = new_secret(), new_secret()
HERE = Asking(challenge_of(VERIFIER), STATE, 43121, "ines@desk")
CARRIED = Asking(challenge_of(VERIFIER), STATE, 0, "ines@desk")


async def redeem(served: Served, http: ClientSession, code: str, verifier: str = VERIFIER) -> tuple[int, dict[str, str]]:
    """As the terminal does."""
    async with http.post(f"{served.url}{API}/terminals", json={"code": code, "verifier": verifier}) as answer:
        return answer.status, await answer.json(content_type=None)


async def test_a_person_lends_a_terminal_their_sign_in(served: Served, http: ClientSession) -> None:
    """Letters, label and length are shown first; yes gives a code to carry, and the code gives a token that is that person's."""
    csrf = await sign_in(http, served)
    status, page = await get(served, http, f"/terminal?ask={CARRIED}")
    assert (status, CARRIED.letters in page, "ines@desk" in page, "12 hours from now" in page) == (200, True, True, True)
    assert "swc_" not in page
    status, page = await post(served, http, "/terminal", {"csrf": csrf, "ask": str(CARRIED)})
    assert status == 200
    code = re.search(r"swc_[\w-]{43}", page)[0]
    status, session = await redeem(served, http, code)
    assert (status, session["person"]) == (200, "ines")
    async with http.get(f"{served.url}{API}/me", headers={"Authorization": f"Bearer {session['token']}"}) as answer:
        assert (await answer.json())["via"] == "terminal"
    assert (await redeem(served, http, code))[0] == 401


async def test_the_code_goes_to_the_loopback_of_that_machine(served: Served, http: ClientSession) -> None:
    """RFC 8252 section 7.3: by a refresh, as the policy of the page lets no form lead elsewhere; never shown beside it."""
    csrf = await sign_in(http, served)
    _, page = await post(served, http, "/terminal", {"csrf": csrf, "ask": str(HERE)})
    place = re.search(r'content="0; url=([^"]+)"', page)[1].replace("&amp;", "&")
    parts = urlsplit(place)
    assert (parts.scheme, parts.netloc, parse_qs(parts.query)["state"]) == ("http", "127.0.0.1:43121", [STATE])
    assert (await redeem(served, http, parse_qs(parts.query)["code"][0]))[0] == 200


@pytest.mark.parametrize(("label", "shown"), [(None, "login.northfield.example"), ("Northfield account", "Northfield account"), ("<b>", "&lt;b&gt;")])
async def test_the_door_names_the_provider(served: Served, http: ClientSession, label: str | None, shown: str) -> None:
    """As people know it, else by its host; never the way past it that a password would be."""
    secrets = Secrets(Path("/nonexistent"), {})
    settings = PeopleSettings(url="https://approve.example")
    provider = OidcPeople(issuer="https://login.northfield.example", client_id="x", label=label)
    by_provider = People((provider,), secrets, served.gate.registry, served.gate.clock, settings, sandbox=False)
    served.people.provider, served.people._settings = by_provider.provider, by_provider._settings
    served.people._read = by_provider._read
    status, page = await get(served, http, "/sign-in")
    assert (status, f"Continue with {shown}" in page, 'type="password"' in page) == (200, True, False)


async def test_a_stranger_signs_in_first(served: Served, http: ClientSession) -> None:
    """The link leads to the door, which shows the letters and repeats nothing else of it, and then back."""
    status, door = await get(served, http, f"/terminal?ask={CARRIED}")
    assert (status, CARRIED.letters in door, "ines@desk" in re.sub(r'value="[^"]*"', "", door)) == (200, True, False)
    csrf = re.search(r'name="csrf" value="([^"]+)"', door)[1]
    form = {"csrf": csrf, "then": str(CARRIED), "person": "ines", "password": "correct horse battery"}
    assert "Let a terminal act as ines?" in (await post(served, http, "/sign-in", form))[1]


@pytest.mark.parametrize("ask", ["", "x", f"{HERE}%0a", f"{HERE.challenge}.{STATE}.80.a", "%3Cscript%3E"])
async def test_a_broken_link_lends_nothing(served: Served, http: ClientSession, ask: str) -> None:
    """404 on the page and for the form."""
    csrf = await sign_in(http, served)
    assert (await get(served, http, f"/terminal?ask={ask}"))[0] == 404
    status, page = await post(served, http, "/terminal", {"csrf": csrf, "ask": ask})
    assert (status, "swc_" in page) == (404, False)


@pytest.mark.parametrize("how", ["no form token", "another's form token", "a link"])
async def test_nobody_is_made_to_lend_csrf(served: Served, http: ClientSession, how: str) -> None:
    """RFC 9700 section 4.7: the yes counts only from a form of the person's own session, never from a link or another site."""
    await sign_in(http, served)
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as other:
        stolen = await sign_in(other, served, "mara")
    form = {"ask": str(CARRIED), **({"csrf": stolen} if how.startswith("another") else {"x": "y"})}
    if how == "a link":
        status, page = await get(served, http, f"/terminal?ask={CARRIED}&csrf={stolen}")
        assert (status, "swc_" in page) == (200, False)
    else:
        assert (await post(served, http, "/terminal", form))[0] == 403
    assert not served.people._codes._lent


async def test_a_stale_sign_in_lends_nothing(served: Served, http: ClientSession) -> None:
    """A stolen cookie gives no longer life: the page says to sign in again, and the form is refused."""
    csrf = await sign_in(http, served)
    served.gate.stale = True
    status, page = await get(served, http, f"/terminal?ask={CARRIED}")
    assert (status, 'action="/terminal"' in page) == (403, False)
    status, page = await post(served, http, "/terminal", {"csrf": csrf, "ask": str(CARRIED)})
    assert (status, "swc_" in page, served.people._codes._lent) == (403, False, {})


async def test_sessions_are_shown_and_ended(served: Served, http: ClientSession) -> None:
    """Ones own, with where and since when; ending one ends it and no other; another person's is not there."""
    csrf = await sign_in(http, served)
    mara = (await served.people.sign_in("mara", "correct horse battery")).token
    api = (await served.people.sign_in("ines", "correct horse battery", place="bearer")).token
    _, page = await get(served, http, "/access")
    shown = re.findall(r'name="session" value="(s_\w+)"', page)
    assert (len(shown), "this one" in page, "Password sign-in of the API" in page) == (2, True, True)
    (theirs,) = served.people.sessions("mara", mara)
    assert (await post(served, http, "/access/end", {"csrf": csrf, "session": theirs.id}))[0] == 404
    ended = next(one.id for one in served.people.sessions("ines", api) if one.here)
    status, page = await post(served, http, "/access/end", {"csrf": csrf, "session": ended})
    assert (status, "It is ended" in page, ended in page) == (200, True, False)
    assert (served.people.by_bearer(api), served.people.by_session(mara) is not None) == (None, True)


async def test_signing_out_everywhere_from_the_page(served: Served, http: ClientSession) -> None:
    """One button: this browser, the API's and the terminals' sessions; another person's stay."""
    csrf = await sign_in(http, served)
    assert 'name="everywhere" value="yes"' in (await get(served, http, "/access"))[1]
    mara = (await served.people.sign_in("mara", "correct horse battery")).token
    api = (await served.people.sign_in("ines", "correct horse battery", place="bearer")).token
    await post(served, http, "/sign-out", {"csrf": csrf, "everywhere": "yes"})
    assert "Sign in to review" in (await get(served, http, "/access"))[1]
    assert (served.people.by_bearer(api), served.people.by_session(mara) is not None) == (None, True)


async def test_the_api_lists_and_ends_sessions(served: Served, http: ClientSession) -> None:
    """The same by the API, which alone knows the token it was asked with; everywhere ends them all."""
    first, second = [(await served.people.sign_in("ines", "correct horse battery", place="bearer")).token for _ in range(2)]
    headers = {"Authorization": f"Bearer {first}"}
    async with http.get(f"{served.url}{API}/sessions", headers=headers) as answer:
        listed = (await answer.json())["items"]
    assert sorted(one["here"] for one in listed) == [False, True]
    assert not any(token in str(listed) for token in (first, second))
    other = next(one["id"] for one in listed if not one["here"])
    async with http.delete(f"{served.url}{API}/sessions/{other}", headers=headers) as answer:
        assert answer.status == 200
    assert served.people.by_bearer(second) is None
    async with http.delete(f"{served.url}{API}/sessions/{other}", headers=bearer(served, "mara")) as answer:
        assert answer.status == 404
    async with http.delete(f"{served.url}{API}/sessions", params={"everywhere": "true"}, headers=headers) as answer:
        assert answer.status == 200
    assert served.people.sessions("ines", "") == []


async def test_tokens_of_programs(served: Served, http: ClientSession) -> None:
    """Last use, scopes and creator: to security all of them, to others what they created; never anything that opens a door."""
    async with http.get(f"{served.url}{API}/holds", headers=bearer(served, "reader")) as answer:
        assert answer.status == 200
    for who, seen in (("aiko", {"reader", "stopper", "auditor"}), ("ines", {"reader"}), ("samir", set())):
        async with http.get(f"{served.url}{API}/tokens", headers=bearer(served, who)) as answer:
            text = await answer.text()
            listed = {one["program"]: one for one in (await answer.json())["items"]}
        assert listed.keys() == seen
        assert not any(token in text for token in served.tokens.values())
        if "reader" in listed:
            assert (listed["reader"]["creator"], listed["reader"]["scopes"], listed["reader"]["used_at"] is None) == ("ines", ["read"], False)
        if "stopper" in listed:
            assert listed["stopper"]["used_at"] is None
    await sign_in(http, served)
    _, page = await get(served, http, "/access")
    assert ("reader" in page, "stopper" in page, "not yet" in page) == (True, False, False)
