"""Which addresses may be connected to. Must never look at a name: names are resolved once, and the address is what is judged.

Private and loopback addresses are fine, because an upstream is configured by the operator, not by a request.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, TypeAlias

from stagewarden.errors import UpstreamUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

IPAddress: TypeAlias = IPv4Address | IPv6Address

# Instance metadata and its kin outside the link-local ranges: they hand credentials to whoever asks.
_METADATA = frozenset(
    {
        ip_address("100.100.100.200"),  # Alibaba Cloud
        ip_address("168.63.129.16"),  # Azure's wire server
        ip_address("192.0.0.192"),  # Oracle Cloud, classic
        ip_address("fd00:ec2::254"),  # AWS instance metadata
        ip_address("fd00:ec2::23"),  # AWS pod identity
        ip_address("fd20:ce::254"),  # Google Cloud
    }
)
_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"), IPv6Network("::ffff:0:0:0/96"))  # RFC 6052, RFC 8215, RFC 2765
_COMPATIBLE = IPv6Network("::/96")  # RFC 4291 section 2.5.5.1, deprecated and still understood
_LOW_32 = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Resolved:
    """One address of a name, as `socket` wants it."""

    family: socket.AddressFamily
    sockaddr: tuple[str, int] | tuple[str, int, int, int]
    ip: IPAddress


def unwrap(address: IPAddress) -> IPAddress:
    """The IPv4 address inside an IPv6 one, where it holds one (GHSA-7jmw-8259-q9jx)."""
    if isinstance(address, IPv4Address):
        return address
    if inner := address.ipv4_mapped or address.sixtofour:
        return inner
    embedded = any(address in network for network in _NAT64) or (address in _COMPATIBLE and int(address) > 1)
    return IPv4Address(int(address) & _LOW_32) if embedded else address


def why_not(address: IPAddress) -> str | None:
    """Why nobody may connect there, or None."""
    inner = unwrap(address)
    if inner in _METADATA:
        return "an instance metadata address"
    if inner.is_link_local:
        return "a link-local address"
    if inner.is_unspecified or inner.is_multicast or (inner.is_reserved and not inner.is_loopback):
        return "an address no server has"
    return None


async def resolve(host: str, port: int) -> tuple[Resolved, ...]:
    """Every address of the name, judged. One that is refused refuses them all: a name is trusted whole or not (row 51)."""
    try:
        infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UpstreamUnavailable(f"{host} does not resolve: {error}") from None
    found: list[Resolved] = []
    for family, _, _, _, sockaddr in infos:
        if family not in {socket.AF_INET, socket.AF_INET6}:
            continue
        ip = ip_address(str(sockaddr[0]).partition("%")[0])
        if reason := why_not(ip):
            raise UpstreamUnavailable(f"{host} is at {ip}: {reason}")
        found.append(Resolved(family, sockaddr, ip))  # type: ignore[arg-type]  # AF_INET and AF_INET6 have these two shapes
    if not found:
        raise UpstreamUnavailable(f"{host} has no address")
    return tuple(found)


class OwnListeners:
    """Our own sockets: proxying to them would let an agent talk to its own gatekeeper (CVE-2020-11710 and kin)."""

    def __init__(self, addresses: Iterable[tuple[str, int]] = ()) -> None:
        self._exact: set[tuple[IPAddress, int]] = set()
        self._everywhere: set[int] = set()  # ports bound on every address of this machine
        self._loopback: set[int] = set()
        self.add(addresses)

    def add(self, addresses: Iterable[tuple[str, int]]) -> None:
        """More of them, as bound: an address (or `localhost`, or empty for every address) and a port."""
        for host, port in addresses:
            if host == "localhost":
                self._loopback.add(port)
                continue
            address = unwrap(ip_address(host.strip("[]").partition("%")[0])) if host else None
            if address is None or address.is_unspecified:
                self._everywhere.add(port)
            else:
                self._exact.add((address, port))

    def check(self, connected: socket.socket) -> None:
        """Raise UpstreamUnavailable when the connection leads back to us. Nothing has been written to it yet."""
        peer, port = _address(connected.getpeername())
        here, _ = _address(connected.getsockname())
        # A connection to an own address has it on both ends; within 127.0.0.0/8 the ends may differ.
        is_local = peer.is_loopback or peer == here
        if (peer, port) in self._exact or (port in self._everywhere and is_local) or (port in self._loopback and peer.is_loopback):
            raise UpstreamUnavailable(f"{peer} port {port} is a listener of ours")


def _address(sockaddr: tuple[str, int]) -> tuple[IPAddress, int]:
    return unwrap(ip_address(sockaddr[0].partition("%")[0])), sockaddr[1]
