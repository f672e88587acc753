"""Ports for a process that is told where to listen, and may stop and listen there again."""

from __future__ import annotations

import random
import socket
from itertools import cycle

# The system gives these to nobody by itself, so they stay free between two processes of ours. From its own range a client that knocks while
# nobody listens may be given the very port it knocks at, and is then connected to itself.
_BELOW_EPHEMERAL = range(20_000, 32_000)
# Each in its turn, in an order of this process's own: what was given may not be listened on yet when the next one asks.
_NEXT = cycle(random.SystemRandom().sample(_BELOW_EPHEMERAL, len(_BELOW_EPHEMERAL)))


def free_ports(count: int) -> tuple[int, ...]:
    """Ports on loopback nobody listens on, and nobody else was given."""
    found: list[int] = []
    while len(found) < count:
        port = next(_NEXT)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
    return tuple(found)
