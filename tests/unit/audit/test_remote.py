"""A worker's log and the house's: one chain, in order, nothing said before it is durable, nothing twice."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagewarden.audit.line import ENVELOPE, canonical, draft, fill, plain
from stagewarden.audit.remote import Acknowledged, Drafted, Entries, Inlet, RemoteLog
from stagewarden.audit.verify import verify
from stagewarden.errors import AuditUnavailable
from tests.unit.audit.parts import ManualClock, TroubledDisk, audit_log, entries_of, ruling, segments_of
from tests.unit.audit.test_log import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from stagewarden.audit.log import AuditLog

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 52), 1 << 52) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=10).filter(lambda name: name not in ENVELOPE | {"id"}), _JSON, max_size=6), st.none() | st.just("e_1"))
def test_a_drafted_line_is_the_line(body, entry_id):
    """Whatever the body holds, control characters included: the draft filled in is byte for byte what `append` writes."""
    body = plain("read", body)
    whole = {**body, "v": 1, "seq": 7, "time": "2026-11-21T09:00:00.000000Z", "boot": "b_1", "kind": "read", "prev": "ab" * 32}
    if entry_id is not None:
        whole["id"] = entry_id
    assert fill(draft("read", body, entry_id), "b_1", "ab" * 32, 7, "2026-11-21T09:00:00.000000Z") == canonical(whole)


@pytest.mark.parametrize("member", sorted(ENVELOPE))
def test_a_draft_cannot_say_what_the_log_says(member):
    """A body with a member of the envelope is a fault in the caller."""
    with pytest.raises(ValueError, match="envelope"):
        draft("read", {member: "x"}, None)


def test_what_is_no_draft_is_not_filled():
    """A worker that is out of step cannot bring a line of its own making."""
    with pytest.raises(ValueError, match="unpack"):
        fill(b'{"kind":"read"}', "b", "p", 1, "t")


class Wire:
    """Messages between a worker and the house, encoded as they travel; held back while `open` is false."""

    def __init__(self, log: AuditLog, clock: ManualClock | None = None) -> None:
        self.sent: list[Entries] = []
        self.waiting: list[Callable[[], None]] = []
        self.open = True
        self.remote = RemoteLog(self.carry, clock or ManualClock(), lambda _: None)
        self.inlet = Inlet(log, self.back)

    def carry(self, entries: Entries) -> None:
        """To the house."""
        self.sent.append(entries)
        there = msgspec.msgpack.decode(msgspec.msgpack.encode(entries), type=Entries)
        self._go(lambda: self.inlet.take(there))

    def back(self, acknowledged: Acknowledged) -> None:
        """To the worker."""
        here = msgspec.msgpack.decode(msgspec.msgpack.encode(acknowledged), type=Acknowledged)
        self.remote.acknowledged(here)

    def let_go(self) -> None:
        """What was held back arrives."""
        self.open = True
        for go in self.waiting:
            go()

    def _go(self, go: Callable[[], None]) -> None:
        if self.open:
            go()
        else:
            self.waiting.append(go)


@pytest.fixture
async def log(tmp_path: Path):
    """The house's log, open."""
    made = audit_log(tmp_path / "audit", disk=TroubledDisk())
    await made.open()
    yield made
    await made.close()


async def turns() -> None:
    """As many of the loop as a batch may wait for company."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_entries_of_two_workers_are_one_chain_each_in_order(log, tmp_path):
    """Rulings and other entries of both, with the house's own between them; each worker's order is kept, and the chain verifies."""
    wires = [Wire(log), Wire(log)]
    seqs = await asyncio.gather(
        *[wire.remote.append("read", {"by": f"{number}-{turn}"}) for turn in range(20) for number, wire in enumerate(wires)],
        log.append("read", {"by": "house"}),
        *[wire.remote.append("ruling", {"ruling": ruling().id}) for wire in wires],
    )
    assert sorted(seqs) == list(range(1, 44))
    await log.close()
    assert verify(tmp_path / "audit").state == "unanchored"
    for number in range(2):
        mine = [entry["by"] for entry in entries_of(tmp_path / "audit") if entry.get("by", "").startswith(f"{number}-")]
        assert mine == [f"{number}-{turn}" for turn in range(20)]


async def test_what_gathers_while_a_batch_is_under_way_goes_with_the_next(log):
    """One message for the first, one for the hundred that came meanwhile."""
    wire = Wire(log)
    wire.open = False
    first = wire.remote.append("read", {"n": 0})
    await turns()
    rest = [wire.remote.append("read", {"n": n}) for n in range(1, 101)]
    await turns()
    assert [len(entries.drafts) for entries in wire.sent] == [1]
    wire.let_go()
    assert await asyncio.gather(first, *rest) == list(range(1, 102))
    assert [len(entries.drafts) for entries in wire.sent] == [1, 100]


async def test_nobody_is_told_before_the_sync(tmp_path):
    """The worker's future is not done while the house's disk has not answered."""
    disk = TroubledDisk()
    log = audit_log(tmp_path / "audit", disk=disk)
    await log.open()
    disk.gate.clear()
    future = Wire(log).remote.append("read", {})
    await until(disk.stuck.is_set)
    await turns()
    assert not future.done()
    disk.gate.set()
    assert await future == 1
    await log.close()


async def test_an_entry_nobody_waits_for_comes_along(log):
    """Alone it is sent a little later; beside one that is waited for, with it."""
    wire = Wire(log)
    told = []
    wire.remote.report("outcome", {"ruling": "r_1"}, told.append)
    await turns()
    assert wire.sent == []
    assert await wire.remote.append("read", {}) == 2
    assert [len(entries.drafts) for entries in wire.sent] == [2]
    assert told == [None]
    alone = asyncio.get_running_loop().create_future()
    wire.remote.report("outcome", {"ruling": "r_2"}, alone.set_result)
    assert await alone is None


async def test_a_write_that_fails_is_told_to_the_worker_and_leaves_nothing(tmp_path):
    """Every entry of the batch raises AuditUnavailable with the cause; once the log has recovered none of it is there."""
    disk = TroubledDisk()
    log = audit_log(tmp_path / "audit", disk=disk)
    await log.open()
    disk.sync_error = 5
    wire = Wire(log)
    told = await asyncio.gather(*[wire.remote.append("read", {"n": n}) for n in range(3)], return_exceptions=True)
    assert [type(each) for each in told] == [AuditUnavailable] * 3
    disk.sync_error = 0
    await until(lambda: log.writable)
    await log.close()
    assert [entry["kind"] for entry in entries_of(tmp_path / "audit") if entry["kind"] == "read"] == []


async def test_a_house_that_does_not_answer_stops_everything(log):
    """Over the patience every further entry is refused at once; what waits goes on waiting, and counts once the house answers."""
    clock = ManualClock()
    wire = Wire(log, clock)
    wire.open = False
    first = wire.remote.append("read", {})
    await turns()
    assert wire.remote.trouble is None
    clock.move(5.1)
    assert "not answered" in (wire.remote.trouble or "")
    with pytest.raises(AuditUnavailable, match="not answered"):
        await wire.remote.append("read", {})
    wire.let_go()
    assert await first == 1
    assert wire.remote.trouble is None


async def test_a_house_that_is_gone_is_told_to_everybody(log):
    """Sent or still waiting: AuditUnavailable; and nothing more is accepted."""
    wire = Wire(log)
    wire.open = False
    futures = [wire.remote.append("read", {"n": 0})]
    await turns()
    futures.append(wire.remote.append("read", {"n": 1}))
    wire.remote.gone("the other end is gone")
    told = await asyncio.gather(*futures, wire.remote.append("read", {}), return_exceptions=True)
    assert [str(each) for each in told] == ["the other end is gone"] * 3


@pytest.mark.parametrize("message", [Acknowledged(2, [1]), Acknowledged(1, []), Acknowledged(1, [1, 2])], ids=["number", "too-few", "too-many"])
async def test_an_answer_to_something_else_is_not_taken(log, message):
    """The two ends are out of step: ValueError, and nobody is told that anything is durable."""
    wire = Wire(log)
    wire.open = False
    future = wire.remote.append("read", {})
    await turns()
    with pytest.raises(ValueError, match="another batch"):
        wire.remote.acknowledged(message)
    assert not future.done()


async def test_an_id_is_written_once_whoever_brings_it(log, tmp_path):
    """By a worker, by the house that recovers its outbox meanwhile, and again later: one entry, everybody is told its seq."""
    wire = Wire(log)
    both = await asyncio.gather(
        wire.remote.append("hold", {"hold": "h_1"}, entry_id="e_1"), log.append("hold", {"hold": "h_1"}, entry_id="e_1"),
        Wire(log).remote.append("hold", {"hold": "h_1"}, entry_id="e_1"),
    )  # fmt: skip
    assert both == [1, 1, 1]
    assert await wire.remote.append("hold", {"hold": "h_1"}, entry_id="e_1") == 1
    assert await log.append("hold", {"hold": "h_1"}, entry_id="e_1") == 1
    await log.close()
    again = audit_log(tmp_path / "audit")
    await again.open()
    assert await again.append("hold", {"hold": "h_1"}, entry_id="e_1") == 1  # known from the log itself
    await again.close()
    assert [entry["seq"] for entry in entries_of(tmp_path / "audit") if entry.get("id") == "e_1"] == [1]


async def test_who_gives_up_waiting_takes_nobody_elses_answer_away(log):
    """A second waiter for the same id is told although the first was cancelled later, and the other way round."""
    first = log.append("hold", {}, entry_id="e_1")
    second = log.append("hold", {}, entry_id="e_1")
    second.cancel()
    assert await first == 1


async def test_large_entries_travel_in_several_messages(log, monkeypatch):
    """More than a message may hold: split, in order, none lost."""
    monkeypatch.setattr("stagewarden.audit.remote._BATCH_BYTES", 3000)
    wire = Wire(log)
    assert await asyncio.gather(*[wire.remote.append("read", {"by": "x" * 1000}) for _ in range(7)]) == list(range(1, 8))
    assert len(wire.sent) == 4
    assert segments_of(log.directory)


async def test_what_is_no_draft_is_refused_by_the_house(log):
    """Whatever a worker sends as a draft is a draft, or the conversation ends."""
    with pytest.raises(ValueError, match="unpack"):
        Inlet(log, lambda _: None).take(Entries(1, [Drafted("read", b"{}")]))
