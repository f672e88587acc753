"""Open answers held against stops: what is covered ends, what is not or cannot be told goes on."""

from __future__ import annotations

import asyncio

import pytest

from stagewarden.errors import CannotTell, Severed
from stagewarden.gate.sending import Relay
from stagewarden.gate.streams import Streams
from stagewarden.model import Deny
from stagewarden.wire.upstream import Phase, UpstreamAnswer

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Flow:
    """A connection that can only be aborted."""

    aborted = False

    def pause(self) -> None:
        """Nothing flows."""

    def resume(self) -> None:
        """Nothing flows."""

    def expect(self, seconds: float | None) -> None:
        """No clock runs."""

    def abort(self) -> None:
        """Seen."""
        self.aborted = True


def relay() -> tuple[Relay, Flow]:
    """An answer of which some has arrived, and its connection."""
    flow = Flow()
    answer = UpstreamAnswer(flow, asyncio.get_running_loop(), 5.0, head_request=False)
    answer.feed(HEAD + b"6\r\nsecret\r\n")
    return Relay(answer), flow


def stops(*covered: str):
    """A stop of these rulings; `?` cannot be told."""

    def stopped(ruling: str) -> Deny | None:
        if ruling == "?":
            raise CannotTell("the stop file cannot be read")
        return Deny.by_gate("killed", "Stopped by k_1") if ruling in covered else None

    return stopped


async def test_what_is_covered_ends_and_the_rest_goes_on():
    """The covered one gives no more, not even what had arrived; its connection is let go of, and whoever relays it is told at once."""
    streams, told = Streams(), []
    made = {ruling: relay() for ruling in ("a", "b", "?")}
    for ruling, (each, _) in made.items():
        streams.begin(each, ruling, stops())
        each.when_cut(lambda ruling=ruling: told.append(ruling))
    streams.cut(stops("a"))
    assert told == ["a"]
    assert {ruling: flow.aborted for ruling, (_, flow) in made.items()} == {"a": True, "b": False, "?": False}
    with pytest.raises(Severed, match="k_1") as severed:
        await anext(made["a"][0])
    assert severed.value.code == "killed"
    assert await anext(made["b"][0]) == b"secret"
    assert len(streams) == 2


async def test_one_that_begins_under_a_stop_ends_as_it_begins():
    """The stop came while the head was awaited; whoever asks later what to do then is told at once, and only once."""
    streams, told = Streams(), []
    each, flow = relay()
    streams.begin(each, "a", stops("a"))
    each.when_cut(lambda: told.append("cut"))
    streams.cut(stops("a"))
    assert (flow.aborted, told, len(streams)) == (True, ["cut"], 0)


async def test_one_that_is_over_is_not_cut():
    """It has its whole answer, and its connection is somebody else's by now."""
    streams = Streams()
    each, flow = relay()
    streams.begin(each, "a", stops())
    each.answer.feed(b"0\r\n\r\n")
    assert (each.answer.phase, each.open) == (Phase.WHOLE, False)
    streams.end(each)
    streams.end(each)
    streams.cut(stops("a"))
    assert not flow.aborted
