"""However the bytes are cut on their way, they are the same bytes: every small attack again, a few bytes at a time."""

import pytest

from tests.attacks import test_bodies, test_headers, test_smuggling, test_targets
from tests.attacks.cases import check, params

_SMALL = 700  # bytes
_MODULES = (test_targets, test_headers, test_smuggling, test_bodies)
SMALL = [
    case for module in _MODULES for case in params((*module.REFUSED, *module.SOUND, *getattr(module, "WAITS", ()))) if len(case.values[1]) < _SMALL
]


@pytest.mark.parametrize("step", [1, 7])
@pytest.mark.parametrize(("family", "raw"), SMALL[::3])
def test_in_slices(ground, family, raw, step):
    """The same no, or the same bytes on, as in one piece."""
    check(ground, family, raw, step=step)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(b"GET /first HTTP/1.1\r\nHost: app.test\r\nAuthorization: Bearer sw_battery\r\n\r", b"\n", id="the-last-byte"),
        pytest.param(b"GET /first HTTP/1.1\r", b"\nHost: app.test\r\nAuthorization: Bearer sw_battery\r\n\r\n", id="inside-a-line-end"),
        pytest.param(b"GET /fi", b"rst HTTP/1.1\r\nHost: app.test\r\nAuthorization: Bearer sw_battery\r\n\r\n", id="inside-the-target"),
    ],
)
def test_a_head_in_two_halves(ground, first, second):
    """Nothing is judged before the head is whole, and then it is one request."""
    before = len(ground.lab.requests)
    with ground.connect() as connection:
        connection.sendall(ground.keyed(first))
        ground.attack(b"GET /meanwhile HTTP/1.1\r\nHost: app.test\r\nAuthorization: Bearer sw_battery\r\n\r\n")
        assert "/first" not in {received.target for received in ground.lab.requests[before:]}
        connection.sendall(ground.keyed(second))
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
    assert [received.target for received in ground.lab.requests[before:]].count("/first") == 1
