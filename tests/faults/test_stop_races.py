"""No byte leaves after a stop was acknowledged: row 17 of the must-pass twenty, at the size a run of the suite can afford."""

import socket

import pytest

from tests.faults.stop_races import RawUpstream, racing


@pytest.mark.parametrize(("workers", "rounds"), [(1, 120), (2, 80)], ids=["alone", "workers"])
def test_no_byte_leaves_after_an_acknowledged_stop(tmp_path, workers, rounds):
    """Approved holds and allowed writes against kills of every scope and pauses; some were sent in time, some were stopped, none was late."""
    with racing(tmp_path, workers, seed=rounds) as races:
        told = races.play(rounds)
    assert (told.rounds, told.late) == (rounds, 0), told
    assert told.ends["stopped"] > 0, told
    assert told.direct[200] > 0, told
    assert told.direct[403] > 0, told


def test_a_late_byte_is_counted():
    """The counter above is not blind: what is sent after everything was taken is seen."""
    upstream = RawUpstream()
    try:
        with socket.create_connection(("127.0.0.1", int(upstream.url.rpartition(":")[2]))) as late:
            late.sendall(b"GET /a HTTP/1.1\r\n\r\n")
            before = upstream.taken()
            late.sendall(b"GET /b HTTP/1.1\r\n\r\n")
            assert (before, upstream.taken()) == (19, 38)
    finally:
        upstream.close()
