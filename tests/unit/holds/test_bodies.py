"""Large bodies of holds: stored sealed and in pieces, read back exactly, or not at all."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, func, select, update

from stagewarden.clock import NANOSECONDS
from stagewarden.errors import CannotTell, StateUnavailable
from stagewarden.holds.view import agent_view
from stagewarden.store.tables import bodies
from stagewarden.wire.spool import BLOCK, Spool, Spools
from tests.unit.holds.bench import new_hold, request

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

CANARY = b"CANARY-77aa"
LARGE = (b"\n\x00\xff" + CANARY) * (5 * BLOCK // 14)


async def arriving(body: bytes) -> AsyncGenerator[bytes, None]:
    """As a connection gives it."""
    for at in range(0, len(body), 100_000):
        yield body[at : at + 100_000]


@pytest.fixture
def spools(tmp_path: Path) -> Spools:
    """Room for these bodies."""
    return Spools(tmp_path / "spool", 8 << 20, 0)


async def held(bench, spools, body: bytes = LARGE):
    """A hold of it, its spool closed as the gate closes it."""
    with await spools.take(arriving(body)) as spool:
        return (await bench.holds.open(new_hold(request(spool)))).hold


async def back(bench, spools, hold) -> bytes:
    """Its bytes, as a release reads them."""
    with spools.open() as spool:
        known = await bench.holds.with_body(await bench.holds.get(hold.id), spool)
        assert isinstance(known.request.body, Spool)
        return b"".join(known.request.body.blocks())


async def test_a_large_body_comes_back_exactly(bench, spools):
    """Byte for byte, under the digest that people approved; until then only its size and digest are known."""
    hold = await held(bench, spools)
    stored = await bench.holds.get(hold.id)
    assert (stored.request.size, stored.request.body.digest) == (len(LARGE), "sha256:" + hashlib.sha256(LARGE).hexdigest())
    with pytest.raises(StateUnavailable):
        stored.request.digest("drafter", "export")
    assert await back(bench, spools, hold) == LARGE
    assert spools.in_use == (0, 0)


async def test_the_agent_is_told_what_it_sent_without_the_bytes(bench, spools):
    """A file by its size and digest."""
    hold = await held(bench, spools)
    shown = agent_view(await bench.holds.get(hold.id))["request"]
    assert shown["body_file"] == {"size": len(LARGE), "digest": "sha256:" + hashlib.sha256(LARGE).hexdigest()}
    assert not shown.keys() & {"body", "body_base64"}


async def test_no_plain_byte_of_it_is_stored(bench, spools, tmp_path):
    """Every piece is ciphertext, in the journal too."""
    await held(bench, spools)
    await bench.store.close()
    assert [path.name for path in tmp_path.iterdir() if path.is_file() and CANARY in path.read_bytes()] == []


async def pieces(bench, hold) -> list[bytes]:
    """What lies in the database."""
    async with bench.store.reading() as connection:
        return list((await connection.execute(select(bodies.c.sealed).where(bodies.c.hold == hold.id).order_by(bodies.c.number))).scalars())


def changed(number: int, sealed) -> list:
    """One piece replaced."""
    return [update(bodies).where(bodies.c.number == number).values(sealed=sealed)]


DAMAGE = {
    "a bit flipped": lambda found: changed(2, found[2][:-1] + bytes([found[2][-1] ^ 1])),
    "two pieces exchanged": lambda found: [*changed(0, found[1]), *changed(1, found[0])],
    "the last one missing": lambda found: [delete(bodies).where(bodies.c.number == len(found) - 1)],
    "the first one missing": lambda _: [delete(bodies).where(bodies.c.number == 0)],
    "all missing": lambda _: [delete(bodies)],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
async def test_what_is_not_the_approved_body_is_never_sent(bench, spools, damage):
    """Changed, moved or missing pieces: the release cannot tell, and no room is kept."""
    hold = await held(bench, spools)
    async with bench.store.writing() as connection:
        for statement in damage(await pieces(bench, hold)):
            await connection.execute(statement)
    with pytest.raises(StateUnavailable):
        await back(bench, spools, hold)
    assert spools.in_use == (0, 0)


async def test_another_holds_pieces_do_not_open(bench, spools):
    """Each is bound to its hold, with a key of its own."""
    one, other = await held(bench, spools), await held(bench, spools, LARGE[::-1])
    found = await pieces(bench, other)
    async with bench.store.writing() as connection:
        await connection.execute(update(bodies).where(bodies.c.hold == one.id, bodies.c.number == 0).values(sealed=found[0]))
    with pytest.raises(StateUnavailable):
        await back(bench, spools, one)


async def test_a_hold_that_cannot_be_stored_whole_is_not_stored(bench, spools):
    """The spool fails half-way: no hold, no piece, no entry."""
    before = await bench.snapshot()
    with await spools.take(arriving(LARGE)) as spool:
        new = new_hold(request(spool))
        spool.size += 1
        with pytest.raises(CannotTell):
            await bench.holds.open(new)
        spool.size -= 1
    assert await bench.snapshot() == before
    async with bench.store.reading() as connection:
        assert await connection.scalar(select(func.count()).select_from(bodies)) == 0


async def test_the_pieces_go_with_the_payload(bench, spools):
    """`holds.replay` after the end."""
    hold = await held(bench, spools)
    await bench.holds.withdraw(hold.id, "drafter")
    assert len(await pieces(bench, hold)) == 5
    bench.clock.advance(25 * 3600)
    assert bench.clock.now_ns() > hold.asked_at_ns + 24 * 3600 * NANOSECONDS
    assert await bench.holds.purge() == 1
    assert await pieces(bench, hold) == []


async def test_a_repeat_finds_the_hold_without_its_bytes(bench, spools):
    """The same file again is the same hold."""
    hold = await held(bench, spools)
    assert (await held(bench, spools)).id == hold.id
