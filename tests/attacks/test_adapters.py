"""Votes through another queue (bypasses.md section 8, "agent spoofs approval"): only the person's own token, once, up to medium, in one seat.

The whole product behind real sockets, tokens signed with real keys. Whatever is refused moved nothing, and stands in the log.
"""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey

from stagewarden.errors import AuditUnavailable
from stagewarden.store import Callback, Callbacks, Store, locate
from tests.product import populated, product, rulings

ISSUER, AUDIENCE = "https://idp.example", "stagewarden-votes"
KEY = ECKey.generate_key("P-256", {"kid": "k1", "alg": "ES256", "use": "sig"})
OTHER = ECKey.generate_key("P-256", {"kid": "k1", "alg": "ES256", "use": "sig"})
PEOPLE = "  otto: {functions: [reviewer, manager, compliance], name: Otto Berg, identity: {issuer: https://idp.example, subject: sub-otto}}\n"
PRICED = b'{"title": "now EUR 49"}'  # takes two people
ADAPTERS = f"people: {{adapters: {{queue: {{issuer: {ISSUER}, audience: {AUDIENCE}, keys: 'file:jwks.json'}}}}}}\n"


def house(folder):
    """The scenarios' house with an adapter, whose issuer knows ines, rita, otto and somebody who left."""
    source = populated(folder, PEOPLE)
    registry = (source / "registry.yaml").read_text()
    for name in ("ines", "rita", "gone"):
        registry = registry.replace(f"  {name}: {{", f"  {name}: {{identity: {{issuer: {ISSUER}, subject: sub-{name}}}, ", 1)
    (source / "registry.yaml").write_text(registry)
    settings = (source / "stagewarden.yaml").read_text()
    (source / "stagewarden.yaml").write_text(settings + ADAPTERS)
    (folder / "house").mkdir()
    (folder / "house" / "jwks.json").write_text(json.dumps(KeySet([KEY]).as_dict(private=False)))
    return source


@pytest.fixture
async def running(tmp_path):
    """One live article, and an adapter."""
    source = house(tmp_path)
    async with product(tmp_path / "house", source=source) as made:
        made.newsroom.articles["1"] = {"id": "1", "status": "published", "title": "Opening hours", "body": "", "offers": [], "claims": []}
        yield made


def token(sub: str | None = "sub-ines", key=KEY, header: dict[str, object] | None = None, **claims: object) -> str:
    """A person's own token; claims that are None are left out."""
    now = int(time.time())
    said = {"iss": ISSUER, "aud": AUDIENCE, "sub": sub, "iat": now, "exp": now + 300, "jti": f"{time.monotonic_ns()}", **claims}
    given = {"alg": "ES256", "kid": "k1", "typ": "at+jwt", **(header or {})}
    algorithms = [given["alg"]] if given["alg"] != "none" else None
    return jwt.encode({k: v for k, v in given.items() if v is not None}, {k: v for k, v in said.items() if v is not None}, key, algorithms=algorithms)


async def held(running, body=b'{"title": "Opening hours!!"}'):
    """A change of what is live, which waits."""
    reply = await running.ask("PATCH", "/newsroom/articles/1", data=body, headers={"Content-Type": "application/json"})
    return reply.json["hold"]["id"]


async def ballot(running, hold, function="reviewer", **changes):
    """A vote as a queue would pass it on, of what is shown now."""
    shown = (await running.person("GET", f"/holds/{hold}", "lena")).json
    cast = {"decision": "approve", "function": function, "digest": shown["digest"], "view_digest": shown["view_digest"]}
    return {"id": f"CHG{time.monotonic_ns()}", "hold": hold, "answers": dict.fromkeys(shown["questions"], True), **cast, **changes}


async def post(running, body, bearer, adapter="queue"):
    """The callback."""
    headers = {"Content-Type": "application/json"} | ({} if bearer is None else {"Authorization": f"Bearer {bearer}"})
    return await running._send("POST", running.sidecar.people_address, f"/api/v1/adapters/{adapter}/votes", headers, json.dumps(body).encode())


async def state(running, hold):
    """Where it stands, and who has voted."""
    stands = await running.sidecar.rooms.holds.get(hold)
    return str(stands.state), [vote.person for vote in stands.votes]


def noted(running) -> list[tuple[str, str | None]]:
    """What the log says of votes through adapters: result and code."""
    return [(entry["result"], entry.get("code")) for entry in rulings(running.house.folder) if entry["kind"] == "adapter"]


async def test_a_person_votes_by_their_own_token(running):
    """The way it is meant: cast in their name, recorded as begun through the adapter, and sent once."""
    hold = await held(running)
    answer = await post(running, await ballot(running, hold), token())
    assert answer.status == 200, answer.body
    assert await running.ended(hold) == "done"
    assert (await state(running, hold))[1] == ["ines"]
    assert noted(running) == [("begun", None)]
    assert any(entry["kind"] == "vote" and entry["person"] == "ines" for entry in rulings(running.house.folder))


NOW = int(time.time())
TOKENS = {
    "no token": None, "not a token": "hunter2", "another issuer": {"iss": "https://evil.example"}, "wrong audience": {"aud": "stagewarden"},
    "two audiences": {"aud": [AUDIENCE, "other"]}, "no audience": {"aud": None}, "too old": {"iat": NOW - 301, "exp": NOW + 3000},
    "old and long-lived": {"iat": NOW - 86_400, "exp": NOW + 86_400}, "expired": {"exp": NOW - 1}, "not yet": {"nbf": NOW + 3600},
    "of the future": {"iat": NOW + 3600, "exp": NOW + 7200}, "no expiry": {"exp": None}, "no age": {"iat": None}, "no id": {"jti": None},
    "an empty id": {"jti": ""}, "delegated": {"act": {"sub": "drafter"}}, "may be delegated": {"may_act": {"sub": "drafter"}},
    "bound to a key": {"cnf": {"jkt": "x"}}, "nobody": {"sub": "sub-nobody"}, "who left": {"sub": "sub-gone"}, "a name, no subject": {"sub": "ines"},
    "an agent's subject": {"sub": "drafter"}, "no subject": {"sub": None}, "an age that is no number": {"iat": "now"}, "true": {"exp": True},
}  # fmt: skip


async def test_a_token_that_is_not_the_persons_own_for_this_and_now(running):
    """Wrong audience, too old, delegated, another's, nobody's: 401, nothing moved, and counted in the log."""
    hold, answers = await held(running), {}
    for name, given in TOKENS.items():
        answer = await post(running, await ballot(running, hold), token(**given) if isinstance(given, dict) else given)
        answers[name] = (answer.status, answer.json["type"])
    assert answers == dict.fromkeys(TOKENS, (401, "urn:stagewarden:problem:unauthenticated"))
    assert await state(running, hold) == ("pending", [])
    await running.sidecar.rooms.recorder.summarize_refusals()
    counted = [row for entry in rulings(running.house.folder) if entry["kind"] == "refusals" for row in entry["refusals"]]
    assert sum(row["count"] for row in counted if row["code"] == "unauthenticated") == len(TOKENS)


FORGED = {
    "another key": lambda: token(key=OTHER), "no signature": lambda: token().rpartition(".")[0] + ".",
    "a logout token": lambda: token(header={"typ": "logout+jwt"}), "an empty type": lambda: token(header={"typ": ""}),
    "a shared secret": lambda: token(key=OctKey.import_key("s" * 32), header={"alg": "HS256"}),
    "a cut token": lambda: token()[:-3], "an added character": lambda: token() + "A",
}  # fmt: skip


async def test_a_forged_token(running):
    """CVE-2026-27840 and kin: another key, type or algorithm, or a part of a good one."""
    hold = await held(running)
    answers = {name: (await post(running, await ballot(running, hold), make())).status for name, make in FORGED.items()}
    assert answers == dict.fromkeys(FORGED, 401)
    assert await state(running, hold) == ("pending", [])


async def test_credentials_of_other_doors(running):
    """A program's token, a person's token of the API, an agent's key: none of them is a vote here."""
    hold, house = await held(running), running.house
    for bearer in (house.tokens["program"], house.tokens["ines"], house.keys["drafter"]):
        assert (await post(running, await ballot(running, hold), bearer)).status == 401
    assert await state(running, hold) == ("pending", [])


async def test_the_token_opens_no_other_door(running):
    """Token passthrough: what is good for a vote through an adapter reads nothing and votes nowhere else."""
    hold = await held(running)
    own, body = token(), await ballot(running, hold)
    del body["id"], body["hold"]
    for method, path, sent in (("GET", "/holds", None), ("POST", f"/holds/{hold}/votes", body), ("GET", "/me", None)):
        headers = {"Authorization": f"Bearer {own}", "Content-Type": "application/json"}
        data = None if sent is None else json.dumps(sent).encode()
        assert (await running._send(method, running.sidecar.people_address, f"/api/v1{path}", headers, data)).status == 401
    assert await state(running, hold) == ("pending", [])


async def test_replay(running):
    """GHSA-v2jf-442r-6mjh: neither the token nor the id is good twice, for whichever hold, also where the first one was refused."""
    first, own = await held(running), token()
    body = await ballot(running, first, decision="reject", reason="timing")
    assert (await post(running, body, own)).status == 200
    second = await held(running, b'{"title": "Other hours"}')
    again = await ballot(running, second)
    assert (await post(running, again, own)).status == 409  # the token
    assert (await post(running, {**again, "id": body["id"]}, token())).status == 409  # the id
    spoiled = {**again, "digest": "sha256:" + "0" * 64}
    assert (await post(running, spoiled, used := token())).status == 409
    assert (await post(running, {**again, "id": "another"}, used)).status == 409
    assert (await post(running, {**again, "id": spoiled["id"]}, token())).status == 409
    assert await state(running, second) == ("pending", [])
    assert noted(running) == [("begun", None), ("refused", "conflict"), ("refused", "conflict"), ("begun", None), *[("refused", "conflict")] * 3]


async def test_replay_after_a_restart(tmp_path):
    """Used is used, over a restart."""
    source, own = house(tmp_path), token()
    async with product(tmp_path / "house", source=source) as first:
        first.newsroom.articles["1"] = {"id": "1", "status": "published", "title": "t", "body": "", "offers": [], "claims": []}
        hold = await held(first)
        body = await ballot(first, hold, digest="sha256:" + "0" * 64)
        assert (await post(first, body, own)).status == 409
        newsroom = first.newsroom
        body = await ballot(first, hold, id=body["id"])

    store = Store(locate("sqlite:state.db", tmp_path / "house"))
    await store.open()
    assert await Callbacks(store).begin(Callback("queue", body["id"], "another"), hold, "ines", 1) == "used"
    await store.close()
    assert newsroom.arrivals == []


async def test_two_hundred_at_once(running):
    """CVE-2026-45720 and kin: one token sent many times in parallel casts one vote."""
    hold, own = await held(running), token()
    body = await ballot(running, hold)
    answers = await asyncio.gather(*(post(running, body, own) for _ in range(200)))
    assert sorted(answer.status for answer in answers) == [200] + [409] * 199
    assert await running.ended(hold) == "done"
    assert [arrival.method for arrival in running.newsroom.arrivals] == ["PATCH"]


@pytest.mark.parametrize("member", ["digest", "view_digest"])
async def test_another_digest(running, member):
    """CVE-2026-58439: an approval of what is not what waits is none."""
    hold = await held(running)
    answer = await post(running, await ballot(running, hold, **{member: "sha256:" + "0" * 64}), token())
    assert (answer.status, await state(running, hold)) == (409, ("pending", []))
    assert noted(running) == [("begun", None), ("refused", "conflict")]


async def test_high_tier(running):
    """What takes two people is decided in the console."""
    hold = await held(running, PRICED)
    answer = await post(running, await ballot(running, hold), token())
    assert (answer.status, answer.json["type"]) == (403, "urn:stagewarden:problem:not_allowed")
    assert await state(running, hold) == ("pending", [])
    assert noted(running) == [("refused", "not_allowed")]


async def test_a_second_seat(running):
    """One seat of a hold through adapters: whoever holds the queue cannot fill them all."""
    hold = await held(running)
    rooms = running.sidecar.rooms

    assert await Callbacks(rooms.store).begin(Callback("other-queue", "CHG1", "t"), hold, "otto", 1) == "begun"
    answer = await post(running, await ballot(running, hold), token())
    assert (answer.status, await state(running, hold)) == (409, ("pending", []))
    assert "one seat" in answer.json["detail"]
    assert (await running.vote(hold, "ines", "reviewer")).status == 200  # the console's is another matter


async def test_a_vote_that_may_stand_keeps_its_seat(running, monkeypatch):
    """Cast, and then the log took no entry: nobody can tell that it was refused, and the hold's one seat is not given to a second one."""
    hold, recorder, broken = await held(running), running.sidecar.rooms.recorder, True
    deliver = recorder.deliver

    async def delivered(moved):
        if broken and moved.hold.votes:
            raise AuditUnavailable("the log takes nothing")
        return await deliver(moved)

    monkeypatch.setattr(recorder, "deliver", delivered)
    assert (await post(running, await ballot(running, hold), token())).status == 503
    broken = False
    assert (await state(running, hold))[1] == ["ines"]
    assert await Callbacks(running.sidecar.rooms.store).begin(Callback("queue", "CHG1", "t"), hold, "otto", 1) == "second"


async def test_self_approval(running):
    """Whoever owns the agent that asked approves nothing of it, through whichever door."""
    hold = await held(running)
    answer = await post(running, await ballot(running, hold), token("sub-rita"))
    assert (answer.status, await state(running, hold)) == (403, ("pending", []))
    assert noted(running) == [("begun", None), ("refused", "not_allowed")]


async def test_a_refused_vote_leaves_the_seat(running):
    """Somebody who may not vote does not keep the queue from those who may."""
    hold = await held(running)
    assert (await post(running, await ballot(running, hold), token("sub-rita"))).status == 403
    assert (await post(running, await ballot(running, hold), token("sub-ines"))).status == 200


BODIES = {
    "an edit": ({"edit": {"body": "{}"}}, 422), "no hold": ({"hold": "h_" + "0" * 26}, 404), "a made-up hold": ({"hold": "h_1' OR 1=1"}, 404),
    "a NUL": ({"hold": "h_\0"}, 404), "an id with a break": ({"id": "a\nb"}, 422), "an empty id": ({"id": ""}, 422),
    "a long id": ({"id": "x" * 129}, 422), "a function nobody asked for": ({"function": "legal"}, 403),
    "an unknown member": ({"person": "otto"}, 422), "no answers": ({"answers": {}}, 422),
}  # fmt: skip


async def test_bodies(running):
    """Read strictly; who votes is said by the token alone; and nothing moved."""
    hold = await held(running)
    answers = {name: (await post(running, await ballot(running, hold) | changes, token())).status for name, (changes, _) in BODIES.items()}
    assert answers == {name: status for name, (_, status) in BODIES.items()}
    assert await state(running, hold) == ("pending", [])


async def test_an_adapter_nobody_configured(running):
    """Strangers are not told which there are."""
    hold = await held(running)
    for adapter in ("other", "queue%20", "..%2fqueue"):
        assert (await post(running, await ballot(running, hold), token(), adapter)).status in {401, 404}
    assert await state(running, hold) == ("pending", [])
