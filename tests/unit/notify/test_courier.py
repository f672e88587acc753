"""Deliveries to real receivers on loopback: they arrive at least once under one id, whatever the receiver does, and keep nobody waiting."""

from __future__ import annotations

import asyncio

import orjson
import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from stagewarden.clock import SystemClock
from stagewarden.errors import StateUnavailable
from stagewarden.notify import Courier, Ledger, Opened
from stagewarden.notify.channels import Slack
from stagewarden.notify.posting import Poster
from tests.unit.notify.bench import NOTICE, SECRET, SETTINGS, delivering, new, until, webhook
from tests.upstreams import RecordingUpstream, ScriptedUpstream, answer


def all_are(state: str):
    """Whether every delivery stands so."""
    return lambda page: all(each.state == state for each in page)


def tried(page) -> bool:
    """Whether the one delivery was tried once, and waits again."""
    return page[0].attempts == 1 and page[0].state == "waiting"


async def test_it_arrives_signed(ledger):
    """The specification's verifier accepts it; headers and body say what they should and nothing more."""
    async with RecordingUpstream() as receiver, delivering(ledger, desk=webhook(receiver.url + "/hook?x=1", SystemClock())) as counted:
        await ledger.enter(None, [new()], {})
        (delivery,) = await until(ledger, all_are("delivered"))
    (received,) = receiver.requests
    assert (received.method, received.target) == ("POST", "/hook?x=1")
    assert Verifier(SECRET).verify(received.body, dict(received.headers)) == NOTICE.document()
    assert received.header("webhook-id") == delivery.id
    assert {key.lower() for key, _ in received.headers} == {
        "host", "webhook-id", "webhook-timestamp", "webhook-signature", "content-type", "accept-encoding", "user-agent", "accept", "content-length",
        "connection",
    }  # fmt: skip
    assert counted == [("webhook", "ok")]


async def test_a_chat_gets_plain_text_and_no_button(bench, ledger):
    """Slack's form: one block that renders no markup, nothing to press, the link in words."""
    async with RecordingUpstream() as receiver:
        chat = Opened(Slack(Poster(receiver.url, None, 5.0), bench.clock), "slack", "digest", SETTINGS)
        async with delivering(ledger, desk=chat):
            await ledger.enter(None, [new()], {})
            await until(ledger, all_are("delivered"))
    sent = orjson.loads(receiver.requests[0].body)
    assert [(block["type"], block["text"]["type"]) for block in sent["blocks"]] == [("section", "plain_text")]
    assert sent["blocks"][0]["text"]["text"].endswith("\n" + NOTICE.link)
    assert sent["mrkdwn"] is False


async def refuse(peer):
    """Close without a word."""
    await peer.request()
    peer.drop()


async def garbage(peer):
    """No HTTP."""
    await peer.request()
    await peer.send(b"\x00\xffSSH-2.0-nope\r\n\r\n")


async def silent(peer):
    """Never answer."""
    await peer.request()
    await asyncio.Event().wait()


async def flood(peer):
    """An answer without end."""
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
    while True:
        await peer.send(b"x" * 65536)


async def long_header(peer):
    """A head that does not end."""
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        await peer.send(b"x" * 65536)


FAULTS = {
    "500": (answer(b"no", "500 Oops"), "http_500"), "404": (answer(b"", "404 Not Found"), "http_404"),
    "redirect": (answer(b"", "302 Found", "Location: http://127.0.0.1:1/elsewhere"), "http_302"), "closes": (refuse, "no_connection"),
    "garbage": (garbage, "no_answer"), "slow": (silent, "timeout"), "endless head": (long_header, "no_answer"),
}  # fmt: skip


@pytest.mark.parametrize(("script", "code"), FAULTS.values(), ids=FAULTS)
async def test_a_receiver_that_fails_is_asked_again(bench, ledger, script, code):
    """It waits for its next attempt, the count says so, and no redirect is followed."""
    seconds = 0.3 if script is silent else 5.0
    async with ScriptedUpstream(script) as receiver, delivering(ledger, desk=webhook(receiver.url, bench.clock, seconds=seconds)) as counted:
        await ledger.enter(None, [new()], {})
        (waiting,) = await until(ledger, tried)
        assert receiver.connections == 1
    assert waiting.code == code
    assert 4.0 <= (waiting.next_ns - bench.clock.now_ns()) / 10**9 <= 6.0
    assert counted == [("webhook", "failed")]


async def test_an_answer_without_end_is_an_answer(bench, ledger):
    """Its status is all that is read; the rest is dropped with the connection."""
    async with ScriptedUpstream(flood) as receiver, delivering(ledger, desk=webhook(receiver.url, bench.clock)):
        await ledger.enter(None, [new()], {})
        await until(ledger, all_are("delivered"))


async def test_a_redirect_loop_is_one_request(bench, ledger):
    """A receiver that sends us to itself gets one POST for each attempt."""
    async with ScriptedUpstream(answer(b"", "307 Temporary Redirect", "Location: /")) as receiver:
        async with delivering(ledger, desk=webhook(receiver.url, bench.clock)):
            await ledger.enter(None, [new()], {})
            await until(ledger, lambda page: page[0].code == "http_307")
        assert len(receiver.requests) == 1


@pytest.mark.parametrize("status", ["429 Too Many", "503 Later"])
async def test_a_receiver_may_put_us_off(bench, ledger, status):
    """Retry-After is the least we wait."""
    async with ScriptedUpstream(answer(b"", status, "Retry-After: 900")) as receiver, delivering(ledger, desk=webhook(receiver.url, bench.clock)):
        await ledger.enter(None, [new()], {})
        (waiting,) = await until(ledger, tried)
    assert (waiting.next_ns - bench.clock.now_ns()) / 10**9 == pytest.approx(900)


async def test_gone_is_for_good_until_somebody_sends_again(bench, ledger):
    """410 disables the channel; a person who sends again opens it."""
    said = [answer(b"", "410 Gone")]

    async def play(peer):
        await peer.request()
        await peer.send(said[0])

    async with ScriptedUpstream(play) as receiver:
        channel = webhook(receiver.url, bench.clock)
        async with delivering(ledger, desk=channel):
            await ledger.enter(None, [new("1")], {"desk": channel.address})
            (dead,) = await until(ledger, all_are("dead"))
            await ledger.enter(None, [new("2")], {"desk": channel.address})
            assert len(receiver.requests) == 1
            said[0] = answer(b"", "200 OK")
            await ledger.resend(dead.id, "sara")
            await ledger.enter(None, [new("3")], {"desk": channel.address})
            await until(ledger, lambda page: sorted(each.state for each in page) == ["dead", "delivered", "delivered"])


async def test_it_dies_after_its_last_attempt(bench, ledger):
    """Ten attempts over some days under one id, and then it stands in the list of the dead."""
    async with ScriptedUpstream(answer(b"", "500 Oops")) as receiver, delivering(ledger, desk=webhook(receiver.url, bench.clock)):
        await ledger.enter(None, [new()], {})
        for attempt in range(1, 11):
            (delivery,) = await until(ledger, lambda page, attempt=attempt: page[0].attempts == attempt and page[0].state in {"waiting", "dead"})
            bench.clock.advance(max(0.0, (delivery.next_ns - bench.clock.now_ns()) / 10**9) + 1)
    assert (delivery.state, delivery.code) == ("dead", "http_500")
    assert {received.header("webhook-id") for received in receiver.requests} == {delivery.id}
    assert len(receiver.requests) == 10


async def test_a_crash_between_send_and_mark_sends_again_under_the_same_id(bench, ledger):
    """At least once: the receiver sees the same id and can tell."""
    async with RecordingUpstream() as receiver:
        channel = webhook(receiver.url, bench.clock)
        await ledger.enter(None, [new()], {})
        (claimed,) = await ledger.claim("desk", 1)
        assert (await channel.channel.deliver(claimed.id, "", claimed.document)).result == "delivered"  # and then the process dies
        bench.clock.advance(120)
        async with delivering(Ledger(bench.store, bench.clock), desk=channel):
            await until(ledger, all_are("delivered"))
    assert [received.header("webhook-id") for received in receiver.requests] == [claimed.id] * 2


async def test_a_dead_receiver_keeps_no_other_waiting(bench, ledger):
    """Twenty messages stuck at one channel; another's goes through at once."""
    stuck = asyncio.Semaphore(0)

    async def sticky(peer):
        await peer.request()
        stuck.release()
        await asyncio.Event().wait()

    async with ScriptedUpstream(sticky) as dead, RecordingUpstream() as alive:
        channels = {"desk": webhook(dead.url, bench.clock, seconds=30.0), "other": webhook(alive.url, bench.clock)}
        async with delivering(ledger, **channels):
            await ledger.enter(None, [new(str(number)) for number in range(20)], {})
            for _ in range(4):
                await stuck.acquire()
            await ledger.enter(None, [new("x", channel="other")], {})
            await until(ledger, lambda page: any(each.state == "delivered" for each in page))
            assert dead.connections == 4  # and no more of them at once


@pytest.mark.parametrize("address", ["169.254.169.254", "[fd00:ec2::254]", "100.100.100.200", "[::ffff:169.254.169.254]", "0.0.0.0"])
async def test_metadata_is_never_asked(bench, ledger, address):
    """SSRF: an address that hands out credentials is refused before a connection, and not tried again."""
    async with delivering(ledger, desk=webhook(f"http://{address}/latest", bench.clock)):
        await ledger.enter(None, [new()], {})
        (dead,) = await until(ledger, all_are("dead"))
    assert dead.code == "address_refused"


async def test_a_name_that_leads_nowhere_waits(bench, ledger):
    """It is judged anew at each attempt."""
    async with delivering(ledger, desk=webhook("http://nowhere.invalid/", bench.clock)):
        await ledger.enter(None, [new()], {})
        (waiting,) = await until(ledger, tried)
    assert waiting.code == "no_address"


async def test_a_database_that_is_gone_ends_nothing(bench, ledger, monkeypatch):
    """The courier waits, and goes on once it is back."""
    broken, whole, asked = True, ledger.claim, asyncio.Event()

    async def claim(channel, limit):
        asked.set()
        if broken:
            raise StateUnavailable("gone")
        return await whole(channel, limit)

    monkeypatch.setattr(ledger, "claim", claim)
    async with RecordingUpstream() as receiver, delivering(ledger, desk=webhook(receiver.url, bench.clock)):
        await ledger.enter(None, [new()], {})
        await asked.wait()
        assert receiver.requests == []
        broken = False
        await until(ledger, all_are("delivered"))


async def test_a_mistake_of_ours_ends_nothing(bench, ledger):
    """A channel that breaks in a way nobody foresaw waits like one that failed, and the others go on."""

    class Broken:
        async def deliver(self, message_id, target, document):
            raise RuntimeError("nobody foresaw it")

    async with RecordingUpstream() as receiver:
        channels = {"desk": Opened(Broken(), "webhook", "digest", SETTINGS), "other": webhook(receiver.url, bench.clock)}
        async with delivering(ledger, **channels):
            await ledger.enter(None, [new("1"), new("2", channel="other")], {})
            page = await until(ledger, lambda page: {each.state for each in page} == {"waiting", "delivered"} and all(each.attempts for each in page))
    assert {each.code for each in page} == {"internal", "http_200"}


@pytest.mark.parametrize("turns", range(6))
async def test_an_order_to_end_is_not_missed(bench, ledger, turns):
    """Wherever it meets the wait between two looks: also as that wait ends."""
    courier = Courier({"desk": webhook("http://127.0.0.1:9/", bench.clock)}, ledger, lambda *_: None)
    task = asyncio.create_task(courier._sleep("desk", set(), 30.0))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    courier.wake()
    for _ in range(turns):
        await asyncio.sleep(0)
    told = task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled() is told
