"""Whom notices go to, through the whole product: real receivers on loopback, a real mail server, and agents that write what they like."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import asynccontextmanager
from urllib.parse import quote

import pytest
import yaml
from standardwebhooks.webhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from stagewarden.config import SlackChannel
from stagewarden.errors import ConfigError
from stagewarden.gate.announcing import _wants, address_of
from stagewarden.notify import Notice
from stagewarden.registry import Person, Registry, RegistryData
from stagewarden.store.notices import Heard, note
from tests.product import populated, product, until
from tests.unit.notify.bench import until as deliveries
from tests.unit.notify.payloads import PAYLOADS
from tests.unit.notify.smtp_server import smtp
from tests.upstreams import RecordingUpstream, ScriptedUpstream

KEY = base64.b64encode(bytes(range(32))).decode()


def house(folder, channels: list[dict[str, object]], **holds: object):
    """The scenarios' house with these channels, addresses for its people, and what else a test wants of holds."""
    source = populated(folder, "  sam: {functions: [security]}\n")
    registry = (source / "registry.yaml").read_text()
    for name in ("rita", "ines", "tomas", "lena", "gone"):
        registry = registry.replace(f"  {name}: {{", f"  {name}: {{email: {name}@example.org, ", 1)
    (source / "registry.yaml").write_text(registry)
    settings = (source / "stagewarden.yaml").read_text()
    for key, value in holds.items():
        settings = settings.replace("decide_within: 1h, ", "") if key == "decide_within" else settings
        settings = settings.replace("holds: {", f"holds: {{{key}: {value}, ", 1)
    written = yaml.safe_dump(channels, default_flow_style=True, width=10**6)
    (source / "stagewarden.yaml").write_text(f"{settings}\npeople: {{url: https://approve.example}}\nnotify: {written}")
    return source


def secret(folder) -> str:
    """A webhook's secret beside the configuration; its reference."""
    (folder / "hook").write_text(f"whsec_{KEY}\n")
    (folder / "hook").chmod(0o600)
    return f"file:{folder / 'hook'}"


def webhook(folder, url: str, **filters: object) -> dict[str, object]:
    """A channel as it is written."""
    return {"name": "desk", "kind": "webhook", "url": url, "secrets": [secret(folder)], **filters}


@asynccontextmanager
async def running(folder, channels, **holds):
    """The product with these channels."""
    async with product(folder / "house", source=house(folder, channels, **holds)) as made:
        yield made


async def held(made, title: str = "News") -> str:
    """A hold that waits for a reviewer: an article drafted and asked to be published."""
    drafted = await made.ask("POST", "/newsroom/articles", json={"title": title})
    asked = await made.ask("POST", f"/newsroom/articles/{drafted.json['id']}/publish")
    return str(asked.json["hold"]["id"])


def told(receiver) -> list[dict[str, object]]:
    """What a webhook got, in order."""
    return [json.loads(received.body) for received in receiver.requests]


async def test_a_hold_from_its_opening_to_its_end(tmp_path):
    """Opened and decided, each once, by id, tier, kind, workflow, seats and due, and a link to sign-in that carries no secret."""
    async with RecordingUpstream() as receiver, running(tmp_path, [webhook(tmp_path, receiver.url)]) as made:
        hold = await held(made)
        await until(lambda: len(receiver.requests) == 1)
        await made.vote(hold, "ines", "reviewer")
        await until(lambda: len(receiver.requests) == 2)
        assert await made.ended(hold) == "done"
        await deliveries(made.sidecar.rooms.ledger, lambda page: {each.state for each in page} == {"delivered"})
        metrics = (await made.operations("/metrics")).body.decode()
    opened, decided = told(receiver)
    assert (opened["type"], decided["type"]) == ("hold.opened", "hold.decided")
    data = opened["data"]
    assert data.pop("due")
    assert data == {
        "id": hold, "state": "pending", "tier": "medium", "kind": "article.publish", "workflow": "newsletter",
        "seats": [{"functions": ["reviewer"], "needed": 1, "filled": 0}], "link": f"https://approve.example/holds/{hold}",
    }  # fmt: skip
    assert decided["data"]["state"] == "approved"
    assert 'stagewarden_notifications_total{channel="webhook",result="ok"} 2.0' in metrics
    assert 'stagewarden_deliveries{state="waiting"} 0.0' in metrics


async def test_the_whole_house_of_hostile_agents_reaches_nobody(tmp_path):
    """Lies in the loop (ASI09): 60 payloads in title, body, claims, asserted words, headers and query; none is in any notification."""
    got: list[bytes] = []

    async def keep(peer):
        while True:
            got.append((await peer.request()).raw)
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    assert len(PAYLOADS) == len(set(PAYLOADS)) == 60
    async with ScriptedUpstream(keep) as receiver:
        slack = tmp_path / "slack"
        slack.write_text(receiver.url + "/chat\n")
        slack.chmod(0o600)
        with smtp(tmp_path) as mailbox:
            mail = {"name": "mail", "kind": "email", "server": f"localhost:{mailbox.port}", "tls": "none", "from": "warden@example.org"}
            channels = [webhook(tmp_path, receiver.url), {"name": "chat", "kind": "slack", "url": f"file:{slack}"}, mail]
            async with running(tmp_path, channels) as made:
                holds = []
                for number, payload in enumerate(PAYLOADS):
                    made.newsroom.articles[str(number)] = {"id": str(number), "status": "published", "title": payload, "offers": [], "claims": []}
                    said = json.dumps({"rationale": payload, "claims": [payload], "model": payload, "sources": [payload]})
                    headers = {"Stagewarden-Asserts": said, "X-Said": quote(payload, safe=" <>()=/:;,'!*")}
                    change = {"title": payload, "body": payload, "claims": [payload], "offers": [payload]}
                    asked = await made.ask("PATCH", f"/newsroom/articles/{number}", headers=headers, json=change)
                    holds.append(asked.json["hold"]["id"])
                assert len(set(holds)) == 60
                await until(lambda: len(got) >= 2 * len(holds) and len(mailbox.messages()) >= len(holds), 60)
                everything = b"".join([*got, *(message.as_bytes() for message, _ in mailbox.messages())]).decode("utf-8", "replace")
    decoded = everything + everything.encode().decode("unicode_escape", "replace")
    assert [payload for payload in PAYLOADS if len(payload) > 4 and payload in decoded] == []
    assert "alert(" not in decoded
    assert "evil.example" not in decoded


async def test_mail_goes_to_who_can_answer(tmp_path):
    """Those who could fill a seat, each once, and the lists of its functions; not who started it, not who left, not who holds another function."""
    with smtp(tmp_path) as mailbox:
        lists = {"reviewer": ["desk@example.org", "Ines@Example.org"], "security": ["soc@example.org"]}
        mail = {"name": "mail", "kind": "email", "server": f"localhost:{mailbox.port}", "tls": "none", "from": "warden@example.org", "to": lists}
        async with running(tmp_path, [mail]) as made:
            await held(made)
            await until(lambda: len(mailbox.messages()) == 2)
            await made.person("PUT", "/kill", "lena", {"scope": "agent:reader", "reason": "<b>just</b> testing"})
            await until(lambda: len(mailbox.messages()) >= 5)
    addressed = [how["to"][0] for _, how in mailbox.messages()]
    assert sorted(addressed[:2]) == ["desk@example.org", "ines@example.org"]
    assert sorted(addressed[2:]) == ["lena@example.org", "soc@example.org", "tomas@example.org"]
    stop = mailbox.messages()[-1][0]
    assert "agent:reader" in stop.get_content()
    assert "testing" not in stop.as_string()  # a person's words stay here too


async def test_a_hold_that_is_opened_again_is_told_again(tmp_path):
    """Votes that no longer count open its seats anew: whoever can answer hears of that call too, each once."""
    with smtp(tmp_path) as mailbox:
        mail = {"name": "mail", "kind": "email", "server": f"localhost:{mailbox.port}", "tls": "none", "from": "warden@example.org"}
        async with running(tmp_path, [mail]) as made:
            hold = await held(made)
            await until(lambda: len(mailbox.messages()) == 1)
            rooms = made.sidecar.rooms
            async with rooms.store.writing() as connection:
                await note(connection, [Heard("e_lapsed", hold, "opened", "pending", rooms.clock.now_ns())])
            rooms.holds.changed.ring([hold])
            await until(lambda: len(mailbox.messages()) == 2)
    assert [how["to"] for _, how in mailbox.messages()] == [["ines@example.org"]] * 2


async def test_a_dead_receiver_delays_neither_holds_nor_the_gate(tmp_path):
    """A receiver that never answers: holds are opened, decided and sent as if it were not there."""
    reached = asyncio.Event()

    async def silent(peer):
        await peer.request()
        reached.set()
        await asyncio.Event().wait()

    async with ScriptedUpstream(silent) as receiver, running(tmp_path, [webhook(tmp_path, receiver.url, timeout="60s")]) as made:
        first = await held(made)
        await reached.wait()
        for _ in range(6):
            await held(made)
        assert (await made.vote(first, "ines", "reviewer")).status == 200
        assert await made.ended(first) == "done"


async def test_nobody_hears_twice_of_a_call(tmp_path):
    """Escalated and reminded, each once, over every look of the clock."""
    async with RecordingUpstream() as receiver:
        channels = [webhook(tmp_path, receiver.url, events=["escalated", "reminder", "expired"])]
        async with running(tmp_path, channels, decide_within="4s", escalate_at=0.1, remind_at=0.3) as made:
            hold = await held(made)
            assert await made.ended(hold, 30) == "expired"
            await until(lambda: len(receiver.requests) == 3)
    assert sorted(str(each["type"]) for each in told(receiver)) == ["hold.escalated", "hold.expired", "hold.reminder"]


async def test_what_was_not_told_before_a_restart_is_told_after_it(tmp_path):
    """A receiver that was down: the message waits in the database, and goes out under the same id."""
    async with RecordingUpstream() as receiver:
        source = house(tmp_path, [webhook(tmp_path, receiver.url)])
        receiver.stop_listening()
        async with product(tmp_path / "house", source=source) as made:
            await held(made)
            ledger = made.sidecar.rooms.ledger
            page = await deliveries(ledger, lambda page: bool(page and page[0].attempts))
            await receiver.leave()
            await receiver.come_back()
            await ledger.resend(page[0].id, "lena")
            made.sidecar.rooms.deliver_now()
            await until(lambda: len(receiver.requests) == 1)
    assert receiver.requests[0].header("webhook-id") == page[0].id


async def test_a_reload_reads_the_secrets_of_channels_again(tmp_path):
    """A new secret signs what is sent from then on; one that is none is refused with the rest of the reload, and the old one goes on."""
    other = "whsec_" + base64.b64encode(bytes(range(1, 33))).decode()
    async with RecordingUpstream() as receiver, running(tmp_path, [webhook(tmp_path, receiver.url, events=["opened"])]) as made:
        (tmp_path / "hook").write_text("changeme\n")
        with pytest.raises(ConfigError, match="whsec_"):
            await made.sidecar.reload()
        await held(made)
        await until(lambda: len(receiver.requests) == 1)
        (tmp_path / "hook").write_text(other)
        await made.sidecar.reload()
        await held(made, "More news")
        await until(lambda: len(receiver.requests) == 2)
    for received, known, unknown in zip(receiver.requests, (f"whsec_{KEY}", other), (other, f"whsec_{KEY}"), strict=True):
        Verifier(known).verify(received.body, dict(received.headers))
        with pytest.raises(WebhookVerificationError):
            Verifier(unknown).verify(received.body, dict(received.headers))


NOTICE = Notice(event="opened", subject="h_1", at_ns=0, link="l", tier="high", kind="k", workflow="newsletter")
FILTERS = {
    "nothing said": ({}, True), "its event": ({"events": ("opened",)}, True), "another event": ({"events": ("decided",)}, False),
    "its tier": ({"tiers": ("high",)}, True), "another tier": ({"tiers": ("low", "medium")}, False),
    "its function": ({"functions": ("legal",)}, True),
    "another function": ({"functions": ("privacy",)}, False), "its workflow": ({"workflows": ("newsletter",)}, True),
    "another workflow": ({"workflows": ("social",)}, False), "all of them": ({"events": ("opened",), "tiers": ("low",)}, False),
}  # fmt: skip


@pytest.mark.parametrize(("filters", "wanted"), FILTERS.values(), ids=FILTERS)
def test_filters(filters, wanted):
    """A list that names nothing leaves nothing out; what is named must be met, all of it."""
    assert _wants(SlackChannel(name="chat", url="file:x", **filters), NOTICE, frozenset({"legal", "compliance"})) is wanted


@pytest.mark.parametrize(("target", "address"), [
    ("rita", "rita@example.org"), ("gone", None), ("nobody", None), ("lena", None), ("desk@example.org", "desk@example.org"),
], ids=["a person", "left", "unknown", "without one", "an address"])  # fmt: skip
def test_the_address_of_today(target, address):
    """Looked up when the message leaves."""
    people = {
        "rita": Person(functions=("reviewer",), email="rita@example.org"), "lena": Person(functions=("reviewer",)),
        "gone": Person(functions=("reviewer",), email="gone@example.org", active=False),
    }  # fmt: skip
    assert address_of(Registry.of(RegistryData(people=people)), target) == address
