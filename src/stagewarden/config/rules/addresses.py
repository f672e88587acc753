"""Which addresses are this machine's own: judged by what is written, never by asking the network."""

from __future__ import annotations

import ipaddress


def is_loopback(host: str) -> bool:
    """`localhost`, `127.0.0.0/8`, `::1`; a name is what it says."""
    host = host.strip("[]").lower().rstrip(".")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")  # RFC 6761 section 6.3


def is_address(host: str) -> bool:
    """An IP address, IPv6 without its brackets."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
