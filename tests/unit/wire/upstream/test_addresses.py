"""Which addresses are never connected to, in every way of writing them."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagewarden.clock import SystemClock
from stagewarden.errors import UpstreamUnavailable
from stagewarden.wire.upstream import Upstreams, endpoint
from stagewarden.wire.upstream.addresses import unwrap, why_not

METADATA = "169.254.169.254"


@pytest.mark.parametrize(
    "text",
    [
        METADATA, "169.254.170.2", "169.254.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192", "0.0.0.0", "224.0.0.1", "239.255.255.255",
        "255.255.255.255", "240.0.0.1", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fe80::1", "febf::1", "::", "ff02::1",
        f"::ffff:{METADATA}", f"::{METADATA}", f"64:ff9b::{METADATA}", "64:ff9b:1::a9fe:a9fe", f"::ffff:0:{METADATA}",
        "2002:a9fe:a9fe::1", "::ffff:0.0.0.0", "::ffff:224.0.0.1",
    ],
)  # fmt: skip
def test_refused(text):
    """GHSA-7jmw-8259-q9jx: metadata, link-local, unspecified, multicast and reserved addresses, also inside IPv6."""
    assert why_not(ip_address(text)) is not None


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1",
        "127.8.8.8",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "93.184.216.34",
        "::1",
        "fd00::1",
        "2001:db8::1",
        "2606:4700::1",
        "::ffff:10.0.0.1",
    ],
)
def test_fine(text):
    """Private and loopback addresses are the operator's to configure."""
    assert why_not(ip_address(text)) is None


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_an_ipv4_address_is_judged_alike_in_every_ipv6_coat(address):
    """Mapped, translated, NAT64 and 6to4 forms never change the answer."""
    prefixes = ("::ffff:", "::ffff:0:", "64:ff9b::", "64:ff9b:1::")
    coats = [*(IPv6Address(f"{prefix}{address}") for prefix in prefixes), IPv6Address((0x2002 << 112) | (int(address) << 80) | 1)]
    assert all(unwrap(coat) == address and why_not(coat) == why_not(address) for coat in coats)


@pytest.mark.parametrize(
    "host",
    [
        METADATA,
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "0xa9.254.169.254",
        "169.16689662",
        f"[::ffff:{METADATA}]",
        "[fd00:ec2::254]",
        "0.0.0.0",
        "0",
    ],
)
async def test_every_spelling_of_a_refused_address(host):
    """Row 48: octal, hexadecimal, decimal and short forms are judged by the address the system makes of them, and never connected to."""
    pool = Upstreams(SystemClock())
    with pytest.raises(UpstreamUnavailable, match=r"metadata|link-local|no server has|does not resolve"):
        await pool.lease(("a",), endpoint(f"http://{host}"), 5).__aenter__()
    await pool.close()
