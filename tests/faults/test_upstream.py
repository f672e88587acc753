"""Every fault of an upstream at every door: the agent is told the truth, so is the log, nothing is sent twice, and the next request passes."""

import asyncio

import pytest
import pytest_asyncio

from tests.faults.doors import code_of, doors, matches, settled
from tests.faults.table import ENDLESS, GONE, UPSTREAM
from tests.product import until
from tests.toxics import Toxic

pytestmark = pytest.mark.asyncio(loop_scope="module")
ROWS = pytest.mark.parametrize("fault", UPSTREAM, ids=[fault.toxic.name for fault in UPSTREAM])


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def house(tmp_path_factory):
    """One product for all rows: what one fault leaves behind meets the next."""
    async with doors(tmp_path_factory.mktemp("faults") / "house") as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def there(house):
    """The upstream is well, and no connection of an earlier row is left."""
    house.upstream.heal()
    await house.upstream.leave()
    await house.upstream.come_back()
    house.upstream.requests.clear()
    house.upstream.connections = 0
    return house


async def strike(there, fault):
    """From now on the upstream is as the row says."""
    there.upstream.poison(fault.toxic)
    if fault.toxic is GONE:
        await there.upstream.leave()


async def mend(there, fault):
    """Well again."""
    there.upstream.heal()
    if fault.toxic is GONE:
        await there.upstream.come_back()


@ROWS
@pytest.mark.parametrize("door", ["read", "write"])
async def test_sent_on_at_once(there, fault, door):
    """What the agent is told, what the log says, and that it arrived at most once; the connection is kept only when nothing is left on it."""
    ask = getattr(there, door)
    await strike(there, fault)
    told = await settled(there, ask)
    assert matches(told, fault.direct), told
    ruling = told.headers["Stagewarden-Ruling"]
    assert [entry["effect"] for entry in there.entries("ruling", ruling=ruling)] == ["allow"]
    outcome = await there.outcome(ruling=ruling)
    assert (outcome["result"], outcome["code"]) == (fault.direct.result, fault.direct.logged or "not_applicable")
    assert len(there.upstream.requests) == fault.direct.hits
    await mend(there, fault)
    connections = there.upstream.connections
    assert (await ask()).status == 200
    assert len(there.upstream.requests) == fault.direct.hits + 1
    assert there.upstream.connections - connections == (0 if fault.kept else 1)


@ROWS
async def test_looked_up(there, fault):
    """A look-up that brings no whole answer is a recorded no: nothing is held, and nothing else is asked of the upstream."""
    await strike(there, fault)
    told = await settled(there, lambda: there.publish("look"))
    ruling = told.headers["Stagewarden-Ruling"]
    (entry,) = there.entries("ruling", ruling=ruling)
    assert (told.status, code_of(told), entry["effect"]) == ((403, "held", "hold") if fault.looked else (503, "cannot_tell", "deny"))
    assert [each.method for each in there.upstream.requests] == ["GET"] * fault.direct.hits
    await mend(there, fault)
    assert code_of(await there.publish("look")) == "held"
    assert {each.method for each in there.upstream.requests} == {"GET"}


@ROWS
async def test_approved(there, fault):
    """An approved request arrives at most once, whatever the upstream does; only where not even a connection was made is it tried again."""
    article, hold = await there.held()
    if fault.toxic is GONE:
        await nobody_listens_for_the_send(there, hold)
    else:
        there.upstream.poison(fault.toxic, lambda received: received.target.endswith("/publish"))
        assert (await there.product.vote(hold, "ines", "reviewer")).status == 200
    state = fault.released.removeprefix("approved, then ")
    assert await there.product.ended(hold) == state
    there.upstream.heal()
    assert there.publishes(article) == fault.released_hits
    assert (await there.outcome(hold=hold))["result"] == state
    again = await there.publish(article)
    assert (again.status, code_of(again)) == ((502, "outcome_unknown") if state == "unknown" else (200, None))
    assert there.publishes(article) == fault.released_hits
    assert (await there.write()).status == 200


async def nobody_listens_for_the_send(there, hold):
    """Look-ups are answered on the connection there is, and the new one a send takes is refused; listen again at the second attempt."""

    async def play(peer, good):
        there.upstream.stop_listening()
        await peer.send(good)

    there.upstream.poison(Toxic("the last connection", play, ends=False), lambda received: received.method == "GET")
    assert (await there.product.vote(hold, "ines", "reviewer")).status == 200
    await until(lambda: there.upstream.struck > 1)
    assert not [each for each in there.upstream.requests if each.method != "GET"]
    await there.upstream.leave()
    await there.upstream.come_back()
    there.upstream.heal()


async def test_without_end_at_the_direct_door(there):
    """The agent takes as much as it wants; when it leaves, the upstream is let go. Its status was the upstream's word: the outcome is done."""
    there.upstream.poison(ENDLESS.toxic)
    host, port = there.product.sidecar.agents_address
    reader, writer = await asyncio.open_connection(host, port)
    key = there.product.house.keys["drafter"]
    writer.write(f"GET /newsroom/articles HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    await reader.readexactly(1 << 20)
    there.upstream.heal()
    writer.transport.abort()
    await until(lambda: there.upstream.serving == 0)
    ruling = next(line.split(b": ")[1].decode() for line in head.split(b"\r\n") if line.lower().startswith(b"stagewarden-ruling"))
    assert (await there.outcome(ruling=ruling))["result"] == ENDLESS.direct.result
    assert len(there.upstream.requests) == 1
    assert (await there.read()).status == 200


async def test_without_end_at_the_look_up(there):
    """Cut at the limit, and it is a no."""
    there.upstream.poison(ENDLESS.toxic)
    told = await settled(there, lambda: there.publish("endless"))
    assert (told.status, code_of(told)) == (503, "cannot_tell")
    await until(lambda: there.upstream.serving == 0)


async def test_without_end_at_an_approved_send(there):
    """Cut at the limit; it was sent, so nobody knows what came of it, and it is not sent again."""
    article, hold = await there.held()
    there.upstream.poison(ENDLESS.toxic, lambda received: received.target.endswith("/publish"))
    assert (await there.product.vote(hold, "ines", "reviewer")).status == 200
    assert await there.product.ended(hold) == ENDLESS.released
    assert there.publishes(article) == 1
