"""Scalars that carry a unit or a place: durations, sizes, addresses, secrets; and how each is written.

Parsed once, here. A message about a secret never repeats what was written: it may be the secret itself.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Misfit(ValueError):
    """A value that does not fit its place; `message` says what, `remedy` how to write it."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class Seconds(float):
    """A duration, written `200ms`, `30s`, `5m`, `4h`, `60d`."""

    __slots__ = ()


class Bytes(int):
    """A size, written `512B`, `32KiB`, `1MiB`, `2GiB`."""

    __slots__ = ()


class Rate(msgspec.Struct, frozen=True):
    """So many in a time, written `50/s`, `600/m`, `10000/h`: at most `count` at once, and `count` in each `seconds` in the long run."""

    count: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.count}/{next(unit for unit, seconds in _TIME_UNITS.items() if seconds == self.seconds)}"


class TimeOfDay(msgspec.Struct, frozen=True):
    """A time on the clock of some zone, written `09:00`; `24:00` is the end of the day."""

    minutes: int

    def __str__(self) -> str:
        return f"{self.minutes // 60:02d}:{self.minutes % 60:02d}"


class Secret(msgspec.Struct, frozen=True):
    """Where a secret is: `file:PATH` (relative to the configuration file) or `env:NAME`; read once, at start."""

    reference: str


class File(msgspec.Struct, frozen=True):
    """A file that is no secret, such as a certificate: `file:PATH`, relative to the configuration file. Everybody may read it, not write it."""

    reference: str


class Bind(msgspec.Struct, frozen=True):
    """`HOST:PORT`; port 0 lets the system choose (tests, demo). An IPv6 host stands without its brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def wildcard(self) -> bool:
        """Listening on every address."""
        address = _address(self.host)
        return address is not None and address.is_unspecified

    @property
    def loopback(self) -> bool:
        """Reachable from this machine only."""
        address = _address(self.host)
        return self.host == "localhost" if address is None else address.is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


_QUANTITY = re.compile(r"([0-9]{1,15})([A-Za-z]*)", re.ASCII)
_TIME_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_RATE = re.compile(r"([0-9]{1,9})/([smh])", re.ASCII)
_TIME_OF_DAY = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])", re.ASCII)
_DAY_MINUTES = 24 * 60
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)", re.ASCII)
_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
MAX_PORT = 65535
MAX_NAME = 253  # RFC 1035 section 2.3.4


def _quantity(value: object, units: Mapping[str, float], example: str) -> tuple[int, float]:
    known = ", ".join(units)
    remedy = f"write a whole number and a unit, as in {example} (units: {known})"
    if isinstance(value, bool | int | float) or value is None:
        raise Misfit("has no unit" if isinstance(value, int | float) and not isinstance(value, bool) else "is not a quantity", remedy)
    found = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise Misfit("is not a quantity", remedy)
    if found[2] not in units:
        raise Misfit(f"has the unknown unit `{found[2]}`" if found[2] else "has no unit", remedy)
    return int(found[1]), units[found[2]]


def seconds(value: object) -> Seconds:
    """`200ms` → 0.2."""
    number, unit = _quantity(value, _TIME_UNITS, "30s")
    return Seconds(number * unit)


def size(value: object) -> Bytes:
    """`1MiB` → 1048576."""
    number, unit = _quantity(value, _SIZE_UNITS, "1MiB")
    return Bytes(number * int(unit))


def rate(value: object) -> Rate:
    """`50/s` → 50 in a second."""
    found = _RATE.fullmatch(value) if isinstance(value, str) else None
    if found is None or not int(found[1]):
        raise Misfit("is not a rate", "write how many in which time, as in 50/s (times: s, m, h)")
    return Rate(int(found[1]), _TIME_UNITS[found[2]])


def time_of_day(value: object) -> TimeOfDay:
    """`09:00` → 540 minutes."""
    found = _TIME_OF_DAY.fullmatch(value) if isinstance(value, str) else None
    minutes = int(found[1]) * 60 + int(found[2]) if found else _DAY_MINUTES + 1
    if minutes > _DAY_MINUTES:
        raise Misfit("is not a time of the day", 'write it in quotation marks from "00:00" to "24:00"')
    return TimeOfDay(minutes)


def is_host_name(host: str) -> bool:
    """LDH labels in lower case, at most 253 characters (RFC 1123 section 2.1)."""
    return len(host) <= MAX_NAME and all(_LABEL.fullmatch(label) for label in host.split("."))


def bind(value: object) -> Bind:
    """`127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`."""
    remedy = "write HOST:PORT, as in 127.0.0.1:8080, [::1]:8080 or localhost:8080"
    host, colon, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    if not colon or not host:
        raise Misfit("is not HOST:PORT", remedy)
    if not (port.isascii() and port.isdigit() and int(port) <= MAX_PORT):
        raise Misfit(f"has no port between 0 and {MAX_PORT}", remedy)
    if host.startswith("[") and host.endswith("]"):
        inner = _address(host[1:-1])
        if not isinstance(inner, ipaddress.IPv6Address):
            raise Misfit("has brackets around something that is not an IPv6 address", remedy)
        return Bind(str(inner), int(port))
    if isinstance(_address(host), ipaddress.IPv4Address) or (is_host_name(host) and not host.replace(".", "").isdigit()):
        return Bind(host, int(port))
    raise Misfit("is neither an IPv4 address, an IPv6 address in brackets nor a host name in lower case", remedy)


def secret(value: object) -> Secret:
    """`file:PATH` or `env:NAME`; what was written is never repeated."""
    if isinstance(value, str):
        kind, colon, place = value.partition(":")
        if colon and kind == "file" and place.strip() and "\0" not in place:
            return Secret(value)
        if colon and kind == "env" and _ENVIRONMENT_NAME.fullmatch(place):
            return Secret(value)
    raise Misfit("is not a reference to a secret (what was written is not repeated here)", "keep the secret out of this file: file:PATH or env:NAME")


def file(value: object) -> File:
    """`file:PATH`."""
    if isinstance(value, str) and value.startswith("file:") and value.removeprefix("file:").strip() and "\0" not in value:
        return File(value)
    raise Misfit("is not a reference to a file", "write file:PATH, relative to this file")


PARSERS: Mapping[type, Callable[[object], object]] = {
    Seconds: seconds, Bytes: size, Rate: rate, TimeOfDay: time_of_day, Bind: bind, Secret: secret, File: file,
}  # fmt: skip
