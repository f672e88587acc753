"""The stop from the agents' plane (must-pass 16): no listener, mount, Host or spelling leads an agent to a kill, its end, or a mode."""

import asyncio
import json

import pytest

from tests.e2e.processes import until
from tests.ground import request

JSON = b"Content-Type: application/json"
ACTS = (
    (b"PUT", "kill", {"scope": "all"}), (b"DELETE", "kill", {"id": "@", "reason": "over"}), (b"GET", "kill", None),
    (b"PUT", "agents/mallory/mode", {"mode": "active", "reason": "over"}), (b"PUT", "agents/carol/mode", {"mode": "revoked", "reason": "x"}),
    (b"POST", "holds/h_1/stop", {"reason": "x"}),
)  # fmt: skip
UNDER = ("/api/v1/", "/", "/.stagewarden/", "/.stagewarden/api/v1/", "/strip/api/v1/", "/strip/", "/vault/api/v1/", "/stop/")
SPELLED = {
    "plain": lambda path: path,
    "double slash": lambda path: "/" + path,
    "climbing": lambda path: "/strip/.." + path,
    "encoded climbing": lambda path: "/strip/%2e%2e" + path,
    "encoded slash": lambda path: path.replace("/", "%2f").replace("%2f", "/", 1),
    "backslash": lambda path: path.replace("/", "\\"),
    "upper case": lambda path: path.upper(),
    "parameter": lambda path: path + ";v=1",
    "slash at the end": lambda path: path + "/",
    "absolute": lambda path: "http://@" + path,
}
HOSTS = ("app.test", "@", "localhost", "127.0.0.1", "vault.test", "approve.example")


def standing_in(ground):
    """The stop file, the kills and modes in force, and what the log has of acts."""
    acts = [entry for entry in ground.entries() if entry["kind"] in {"kill", "mode"}]
    return (ground.house.folder / "stops.json").read_bytes(), len(acts)


def judged_or_refused(heard):
    """Whatever is answered well was judged as an agent's request, and is the upstream's answer; our own planes answer without a ruling."""
    return heard.status >= 400 or heard.header("stagewarden-ruling") is not None


@pytest.fixture(scope="module")
def engaged(ground):
    """A kill in force that stops nobody here; lifted at the end."""
    modes = ground.sidecar.rooms.modes
    kill = asyncio.run(modes.kill("agent:nobody-here", "lena", "drill"))
    until(lambda: any(entry["kind"] == "kill" and entry["subject"] == kill.id for entry in ground.entries()), "the drill in the log")
    yield kill
    asyncio.run(modes.unkill(kill.id, "lena", "over"))


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("spelled", SPELLED)
def test_no_spelling_reaches_an_act_on_stops(ground, engaged, spelled, host):
    """Every act under every path the two planes know: refused, or a request to an upstream like any other; nothing about any stop has changed."""
    people = "{}:{}".format(*ground.sidecar.people_address)
    before = standing_in(ground)
    for method, act, body in ACTS:
        content = None if body is None else json.dumps(body).replace("@", engaged.id).encode()
        for under in UNDER:
            target = SPELLED[spelled](under + act).replace("@", people)
            seen = ground.attack(request(method, target.encode(), JSON, body=content, host=host.replace("@", people).encode()))
            assert all(judged_or_refused(each) for each in seen.answers), (method, target, seen.answers)
    assert standing_in(ground) == before


def test_a_person_s_token_on_the_agents_listener_is_no_person(ground, engaged):
    """Who may lift a kill does it on the people's listener, or not at all."""
    before = standing_in(ground)
    token = ground.house.tokens["lena"].encode()
    for under in UNDER:
        raw = request(b"DELETE", f"{under}kill".encode(), JSON, body=json.dumps({"id": engaged.id, "reason": "over"}).encode())
        seen = ground.attack(raw.replace(b"sw_battery", token))
        assert all(each.status >= 400 for each in seen.answers)
        assert seen.reached == ()
    assert standing_in(ground) == before


def test_an_act_smuggled_behind_a_request_is_answered_by_the_agents_listener(ground, engaged):
    """A second request on the same connection, in the first one's body or after it, meets the same door."""
    before = standing_in(ground)
    act = request(b"PUT", b"/api/v1/kill", JSON, body=b'{"scope":"all"}')
    ground.attack(request(b"POST", b"/items", JSON, body=b'{"a":1}') + act)
    ground.attack(request(b"POST", b"/media", b"Content-Type: application/octet-stream", body=act))
    assert standing_in(ground) == before
