"""The address several workers listen on: taken for the house alone first, then shared with its workers.

SO_REUSEPORT lets every process of this user listen beside us, also one left over from an earlier start, which would silently get its
share of the requests. So whoever is there already is an error: (1) bind without it, (2) allow it on that same socket, which keeps the
address ours, (3) each worker binds its own.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stagewarden.config import Bind


def reserve(bind: Bind) -> list[socket.socket]:
    """One bound socket for each address of the name, listening on none; raises OSError where somebody else is there."""
    reserved: list[socket.socket] = []
    try:
        for family, host in _addresses(bind):
            taken = _fresh(family)
            reserved.append(taken)
            taken.bind((host, bind.port))
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except OSError as failure:
        for taken in reserved:
            taken.close()
        raise OSError(failure.errno, f"error while attempting to bind on address {bind}: {(failure.strerror or 'failed').lower()}") from None
    return reserved


def share(host: str, port: int) -> socket.socket:
    """A worker's own socket at an address its house has reserved."""
    shared = _fresh(socket.AF_INET6 if ":" in host else socket.AF_INET)
    shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    shared.bind((host, port))
    return shared


def _addresses(bind: Bind) -> list[tuple[socket.AddressFamily, str]]:
    found = socket.getaddrinfo(bind.host or None, bind.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found))


def _fresh(family: socket.AddressFamily) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    made.settimeout(0)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # past connections in TIME_WAIT are no strangers
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return made
