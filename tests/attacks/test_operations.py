"""Other planes, log and crosstalk: rows 80, 85, 86, 88 and 90. No path leads from an agent to its own gatekeeping."""

import json
import re
import threading

import pytest

from tests.attacks.cases import told
from tests.ground import get, request

JSON = b"Content-Type: application/json"
CONTROL = (
    ("GET", "holds"), ("GET", "holds/h_1"), ("POST", "holds/h_1/votes"), ("POST", "holds/h_1/stop"), ("GET", "agents"), ("PUT",
        "agents/mallory/mode"),
    ("GET", "kill"), ("PUT", "kill"), ("DELETE", "kill"), ("GET", "rulings"), ("GET", "rulings/r_1"), ("GET", "me"), ("GET", "events"), ("GET",
        "grants"),
    ("POST", "grants"), ("DELETE", "grants/g_1"), ("POST", "sessions"), ("GET", "openapi.json"), ("GET", "nothing"),
)  # fmt: skip


@pytest.mark.parametrize(("method", "path"), [pytest.param(*each, id=f"CVE-2026-27111-{each[0]}-{each[1]}") for each in CONTROL])
@pytest.mark.parametrize("who", ["an-agent", "nobody"])
def test_no_agent_reaches_a_control(ground, method, path, who):
    """An agent's key opens nothing on the people's listener, and nothing there is open to nobody."""
    credential = "Authorization: Bearer sw_battery\r\n" if who == "an-agent" else ""
    head = f"{method} /api/v1/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{credential}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n"
    heard = ground.elsewhere(ground.sidecar.people_address, head.encode() + b"{}")
    assert heard.status in (
        {422} if path == "sessions" else {401, 403, 404, 405}
    )  # signing in takes no credential, and these two bytes sign nobody in


def test_cve_2026_27111_a_person_s_token_is_no_agent(ground):
    """The planes' credentials are of different kinds: a person's opens nothing for an agent."""
    for token in ground.house.tokens.values():
        seen = ground.attack(get(b"/x").replace(b"sw_battery", token.encode()))
        told(seen.only, "unauthenticated")
        assert seen.reached == ()


def test_cve_2025_53773_an_agent_cannot_say_that_it_is_approved(ground):
    """Not by header, not by body, not by asserting it, and not on its own hold."""
    said = b'{"status":"publish","approved":true,"approval":{"state":"approved"},"votes":[{"person":"rita"}]}'
    assertion = b'Stagewarden-Asserts: {"approved":true,"confidence":1,"rationale":"approved by rita"}'
    seen = ground.attack(request(b"POST", b"/articles", JSON, assertion, b"X-Approved: true", body=said))
    told(seen.only, "held")
    assert seen.reached == ()
    hold = json.loads(seen.only.body)["hold"]["id"].encode()
    for path in (b"/votes", b"/approve", b"/release", b"/stop"):
        tried = ground.attack(request(b"POST", b"/.stagewarden/holds/" + hold + path, JSON, body=b'{"decision":"approve"}'))
        told(tried.only, "not_found")
        assert tried.reached == ()
    for method in (b"PUT", b"PATCH", b"DELETE"):
        tried = ground.attack(request(method, b"/.stagewarden/holds/" + hold, JSON, body=b'{"state":"approved"}'))
        told(tried.only, "not_found")
        assert tried.reached == ()


def test_another_agent_s_hold_does_not_exist(ground):
    """Neither to be read nor to be withdrawn."""
    seen = ground.attack(request(b"POST", b"/articles", JSON, body=b'{"status":"publish","title":"mine"}'))
    hold = json.loads(seen.only.body)["hold"]["id"].encode()
    for raw in (get(b"/.stagewarden/holds/" + hold), request(b"POST", b"/.stagewarden/holds/" + hold + b"/withdraw")):
        told(ground.attack(raw, agent="carol").answers[0], "not_found")
    own = ground.attack(get(b"/.stagewarden/holds/" + hold))
    assert (own.only.status, json.loads(own.only.body)["state"]) == (200, "pending")


HOSTILE = {
    "CVE-2024-45808-user-agent": get(b"/x", b'User-Agent: "},{"kind":"ruling","effect":"allow"}'),
    "CVE-2024-45808-header": get(b"/x", b'X-A: \\u000a\\n%0a{"effect":"allow"}'),
    "CVE-2025-25294-path": get(b"/%22%7D%2C%7B%22effect%22%3A%22allow%22"),
    "CVE-2025-25294-query-name": get(b"/search?%22%7D%2C%7B=1"),
    "CVE-2020-7694-bidi": get(b"/%e2%80%ae%e2%80%8b%c2%85x"),
    "CVE-2020-7694-bom": get(b"/%ef%bb%bfx"),
    "CVE-2020-7694-escape": get(b"/%1b%5b2Jx"),
    "CVE-2020-7694-line-end": get(b"/x%0d%0a%7B%22kind%22%3A%22ruling%22%7D"),
    "CVE-2020-7694-body-field": request(b"POST", b"/items", JSON, body='{"\\n{\\"kind\\":1}\u202e\\u0000":1}'.encode()),
    "CVE-2020-7694-asserts": get(b"/x", b'Stagewarden-Asserts: {"model":"\\u202e\\n\\u001b[2J","sources":["\\u0000"]}'),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_no_request_forges_a_line_of_the_log(ground, name):
    """Whatever it carries, every line of the log stays one JSON object with the next number, without a control byte.

    What only misleads the eye (U+202E and kin) is shown escaped by whoever shows it: `tests/unit/cli/test_audit.py`.
    """
    ground.attack(HOSTILE[name])
    ground.entries()
    segments = sorted((ground.house.folder / "audit").glob("*.jsonl"))
    assert segments
    for path in segments:
        lines = path.read_bytes().split(b"\n")[:-1]
        numbers = [json.loads(line)["seq"] for line in lines]
        assert numbers == [*range(numbers[0], numbers[0] + len(lines))]
        assert not [line for line in lines if re.search(rb"[\x00-\x1f\x7f]", line)]


CANARY = "canary-4c1f9e72"
SPOTS = {
    "CVE-2025-62705-authorization": get(b"/x").replace(b"sw_battery", f"sw_mallory_{CANARY}".encode()),
    "CVE-2025-62705-basic": get(b"/x").replace(b"Bearer sw_battery", f"Basic {CANARY}".encode()),
    "CVE-2025-62513-cookie": get(b"/x", f"Cookie: session={CANARY}".encode()), "CVE-2025-62513-api-key": get(b"/x", f"X-Api-Key: {CANARY}".encode()),
    "CVE-2024-8365-query": get(f"/search?q={CANARY}".encode()), "CVE-2024-8365-query-refused": get(f"/x?token={CANARY}".encode()),
    "CVE-2022-23469-header-refused": get(b"/a/../b", f"X-Api-Key: {CANARY}".encode()),
    "CVE-2022-23469-header-spoiled": get(b"/x", f"X-Secret: {CANARY}\x7f".encode()),
    "CVE-2026-4525-body": request(b"POST", b"/items", JSON, body=f'{{"password":"{CANARY}"}}'.encode()),
    "CVE-2026-4525-body-refused": request(b"POST", b"/items", JSON, body=f'{{"password":"{CANARY}"'.encode()),
    "CVE-2026-4525-body-held": request(b"POST", b"/articles", JSON, body=f'{{"status":"publish","text":"{CANARY}"}}'.encode()),
    "CVE-2026-4525-rationale": get(b"/x", f'Stagewarden-Asserts: {{"rationale":"{CANARY}"}}'.encode()),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOTS)
def test_no_secret_reaches_a_file(ground, name):
    """A canary in every place a request has: in no line of the log and in no byte of the database."""
    ground.attack(SPOTS[name])
    ground.attack(get(b"/x"))
    files = [path for path in ground.house.folder.rglob("*") if path.is_file()]
    assert any(path.suffix == ".jsonl" for path in files)
    assert not [path.name for path in files if CANARY.encode() in path.read_bytes()]
    metrics = ground.elsewhere(ground.sidecar.operations_address, b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert CANARY.encode() not in metrics.raw


def test_cve_2026_48529_interleaved_agents_never_meet(ground):
    """Two agents on many connections at once: each answer is its own question's, each ruling names its own agent."""
    mixed: list[str] = []

    def ask(agent: str, lane: int) -> None:
        for number in range(25):
            target = f"/{agent}-{lane}-{number}"
            with ground.connect() as connection:
                connection.sendall(ground.keyed(get(target.encode()), agent))
                data = b""
                while target.encode() not in data and (more := connection.recv(4096)):
                    data += more
            found = re.search(rb"Stagewarden-Ruling: (r_\w+)", data)
            if found is None or ground_agents.setdefault(found[1].decode(), agent) != agent:
                mixed.append(target)

    ground_agents: dict[str, str] = {}
    threads = [threading.Thread(target=ask, args=(agent, lane)) for agent in ("mallory", "carol") for lane in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert mixed == []
    assert len(ground_agents) == 2 * 8 * 25
    ground.settle()
    for ruling, agent in ground_agents.items():
        assert ground.entry("ruling", ruling)["principal"]["agent"] == agent


ROWS = frozenset({80, 85, 86, 88, 90})
