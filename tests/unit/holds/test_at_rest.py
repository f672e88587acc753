from __future__ import annotations

import base64

import pytest
from sqlalchemy import select, update

from stagewarden.clock import NANOSECONDS
from stagewarden.errors import Conflict, StateUnavailable
from stagewarden.holds import Vault
from stagewarden.model import Answer
from stagewarden.store.tables import holds as table
from stagewarden.store.tables import votes
from tests.unit.holds.bench import OK, ballot, new_hold, open_bench, principal, request

CANARY = b"CANARY-4f1c"
EVERYWHERE = {
    "sent": request(b'{"text": "' + CANARY + b'"}', target="/posts?title=CANARY-4f1c", headers=(("X-Note", CANARY.decode()),)),
    "before": b"before " + CANARY,
    "question": {"request": {"body": CANARY.decode()}, "principal": principal()},
}


def found(folder) -> set[str]:
    """Files that hold the canary, in clear or as base64 or hex."""
    spellings = (CANARY, base64.b64encode(CANARY)[:-2], CANARY.hex().encode(), CANARY.hex().upper().encode())
    return {path.name for path in folder.iterdir() if any(spelling in path.read_bytes() for spelling in spellings)}


async def test_no_plain_byte_of_a_payload_is_stored(bench, tmp_path):
    """Request, question, state before, note and answer are ciphertext in every file of the database, the journal included."""
    hold = await bench.pending(**EVERYWHERE)
    await bench.holds.vote(hold.id, ballot(hold, note=f"see {CANARY.decode()}"), bench.registry)
    await bench.log()
    await bench.holds.claim(hold.id, "a_1")
    await bench.holds.mark_sent(hold.id, "a_1")
    await bench.holds.finish(hold.id, "a_1", Answer(200, (("X-Echo", CANARY.decode()),), CANARY))
    assert (await bench.holds.get(hold.id)).response.body == CANARY
    assert found(tmp_path) == set()
    await bench.store.close()
    assert found(tmp_path) == set()


@pytest.mark.parametrize("name", ["Authorization", "authorization", "Cookie", "Proxy-Authorization"])
async def test_a_credential_is_never_stored(bench, name):
    """The agent's own credential is removed before a hold is made; one that is still there is a defect of ours, and nothing is stored."""
    before = await bench.snapshot()
    with pytest.raises(ValueError, match="credential") as caught:
        await bench.pending(sent=request(headers=((name, "Bearer CANARY-4f1c"),)))
    assert "CANARY" not in str(caught.value)
    assert await bench.snapshot() == before


async def test_what_was_stored_comes_back_exactly(bench):
    """Bytes, header order and case, doubled headers, line breaks in bodies: all as they were."""
    headers = (("X-B", "2"), ("x-a", "caf\xe9"), ("X-B", "1"))
    new = new_hold(request(b'\n{"a":\n1}\n\x00\xff', headers=headers), before=b"\nold\n")
    opened = (await bench.holds.open(new)).hold
    read = await bench.holds.get(opened.id)
    assert read == opened
    assert (read.request, read.before, read.question) == (new.request, new.before, new.question)


@pytest.mark.parametrize("column", ["data_key", "request", "question"])
async def test_a_changed_column_is_noticed_before_anything_is_sent(bench, column):
    """Tampering with stored bytes ends in "cannot tell", not in a send."""
    hold = await bench.approved()
    async with bench.store.reading() as connection:
        sealed = bytearray((await connection.execute(select(table.c[column]).where(table.c.id == hold.id))).scalar_one())
    sealed[-1] ^= 1
    async with bench.store.writing() as connection:
        await connection.execute(update(table).where(table.c.id == hold.id).values({column: bytes(sealed)}))
    before = await bench.snapshot()
    with pytest.raises(StateUnavailable, match="decrypted"):
        await bench.holds.claim(hold.id, "a_1")
    assert await bench.snapshot() == before


async def test_the_request_of_another_hold_does_not_stand_in(bench):
    """Copying a whole payload, data key included, from one row to another is noticed."""
    hold, other = await bench.approved(), await bench.pending()
    columns = ("data_key", "request", "question")
    async with bench.store.writing() as connection:
        row = (await connection.execute(select(*(table.c[name] for name in columns)).where(table.c.id == other.id))).mappings().one()
        await connection.execute(update(table).where(table.c.id == hold.id).values(**row))
    with pytest.raises(StateUnavailable, match="decrypted"):
        await bench.holds.claim(hold.id, "a_1")


async def test_a_changed_digest_is_noticed_before_anything_is_sent(bench):
    """A row whose digest and votes were rewritten to fit each other still has other bytes than they say."""
    hold = await bench.approved()
    async with bench.store.writing() as connection:
        await connection.execute(update(table).where(table.c.id == hold.id).values(digest="sha256:other"))
        await connection.execute(update(votes).where(votes.c.hold == hold.id).values(digest="sha256:other"))
    with pytest.raises(StateUnavailable, match="not the one that was approved"):
        await bench.holds.claim(hold.id, "a_1")


async def test_a_damaged_payload_does_not_keep_a_stop_from_working(bench):
    """Stops, expiry and lists read no payload."""
    hold, other = await bench.approved(), await bench.approved()
    async with bench.store.writing() as connection:
        await connection.execute(update(table).where(table.c.id == hold.id).values(data_key=b"damaged"))
    moved = await bench.holds.stop_in_scope("all", "sam", "incident")
    assert {each.hold.id for each in moved} == {hold.id, other.id}


async def test_a_database_of_another_key_does_not_start(tmp_path):
    """The wrong holds.key is found at start, not at the first release."""
    async with open_bench(tmp_path) as bench:
        await bench.holds.recover()
        await bench.holds.recover()
    async with open_bench(tmp_path) as bench:
        bench.holds._vault = Vault(bytes(32))
        before = await bench.snapshot()
        with pytest.raises(StateUnavailable, match=r"holds\.key"):
            await bench.holds.recover()
        assert await bench.snapshot() == before


async def test_payloads_are_deleted_when_replay_is_over(bench, tmp_path):
    """24 h after the end bodies, questions, answers and notes are gone, ids and digests stay, and the answer is not repeated any more."""
    hold = await bench.pending(**EVERYWHERE)
    moved = await bench.holds.vote(hold.id, ballot(hold, decision="reject", note="a note"), bench.registry)
    waiting = await bench.pending()
    bench.clock.advance(24 * 3600 - 1)
    assert await bench.holds.purge() == 0
    bench.clock.advance(1)
    assert await bench.holds.purge() == 1
    assert await bench.holds.purge() == 0
    gone = await bench.holds.get(hold.id)
    assert (gone.payload, gone.request.body, gone.request.headers, gone.before, gone.response) == (False, b"", (), None, None)
    assert (gone.digest, gone.state, gone.votes[0].note, gone.votes[0].person) == (hold.digest, moved.hold.state, None, "rita")
    assert (await bench.holds.get(waiting.id)).payload
    async with bench.store.reading() as connection:
        row = (await connection.execute(select(table).where(table.c.id == hold.id))).mappings().one()
    assert all(row[name] is None for name in ("data_key", "request", "question", "before", "response"))
    assert row["path"] == "/posts"


async def test_an_unknown_outcome_keeps_its_payload(bench):
    """Somebody will have to look up what happened, and needs to see what was sent."""
    hold = await bench.ended(None)
    bench.clock.advance(100 * 24 * 3600)
    assert await bench.holds.purge() == 0
    late = await bench.holds.finish(hold.id, "a_1", OK)
    assert late.hold.response == OK
    assert late.hold.ended_at_ns - hold.ended_at_ns == 100 * 24 * 3600 * NANOSECONDS


async def test_a_deleted_payload_takes_no_vote(bench):
    """What can no longer be shown can no longer be approved."""
    hold = await bench.pending()
    await bench.force(hold, data_key=None, request=None, question=None)
    with pytest.raises(Conflict, match="deleted"):
        await bench.holds.vote(hold.id, ballot(hold), bench.registry)
