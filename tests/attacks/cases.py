"""What an attack is, and the one way to look at what came of it. Must never accept "something in between": refused, or exactly as judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.ground import STATUS, digest, exact

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.ground import Ground, Heard, Seen
    from tests.upstreams import Received


@dataclass(frozen=True, slots=True)
class Family:
    """One advisory, by its row in `advisories.json`, and its variants as raw bytes; each is refused with `code`, a denial with `reason`."""

    row: int
    advisory: str
    variants: Mapping[str, bytes]
    code: str = "ambiguous_request"
    reason: str | None = None
    closes: bool = False  # whether the connection must not be used for anything more
    leaves: bool = False  # whether the client ends its side after the bytes

    @property
    def cases(self) -> Iterable[tuple[str, bytes]]:
        """Test names and bytes."""
        return [(f"{self.advisory}-{name}", raw) for name, raw in self.variants.items()]


@dataclass(frozen=True, slots=True)
class Sound:
    """Variants of an advisory that are legitimate, or made harmless by what is withheld: judged, and sent as judged.

    `absent` are header names that must not arrive, `present` lines that must, in this order; `target` is what arrives where a mount is cut off.
    """

    row: int
    advisory: str
    variants: Mapping[str, bytes]
    body: bytes = b""
    absent: tuple[str, ...] = ()
    present: tuple[tuple[str, str], ...] = ()
    target: str | None = None
    route: str | None = None
    upstream: str = "lab"

    @property
    def cases(self) -> Iterable[tuple[str, bytes]]:
        """Test names and bytes."""
        return [(f"{self.advisory}-{name}", raw) for name, raw in self.variants.items()]


def params(families: Iterable[Family | Sound]) -> list:
    """One test per variant, named after the advisory."""
    return [pytest.param(family, raw, id=name) for family in families for name, raw in family.cases]


def check(ground: Ground, family: Family | Sound, raw: bytes, *, step: int = 0) -> Seen:
    """Attack, and hold what came of it to what the family says; with `step` the bytes come so many at a time."""
    if isinstance(family, Sound):
        return _sound(ground, family, raw, step)
    seen = ground.attack(raw, leaves=family.leaves, step=step)
    assert seen.reached == ()
    assert seen.strayed == ()
    # Who is refused before the last byte writes on into a connection that has ended, and may lose the answer with it.
    if (family.leaves or step) and not seen.answers:
        assert seen.closed
        return seen
    told(seen.only, family.code, family.reason)
    assert seen.closed or not family.closes
    return seen


def told(heard: Heard, code: str, reason: str | None = None) -> None:
    """A no in our form: status by the contract, problem, and for a denial its first reason."""
    assert (heard.status, heard.code) == (STATUS[code], code), heard.raw
    assert reason is None or heard.reason == reason
    assert heard.header("content-length") == str(len(heard.body))


def _sound(ground: Ground, family: Sound, raw: bytes, step: int) -> Seen:
    seen = ground.attack(raw, step=step)
    assert seen.strayed == ()
    assert seen.only.status == 200, seen.only.raw
    assert len(seen.reached) == 1
    received = seen.reached[0]
    method, target, _ = raw.partition(b"\r\n")[0].decode().split(" ")
    assert (received.method, received.target) == (method, family.target or target)
    assert received.body == family.body
    assert not [name for name in family.absent if received.header(name) is not None]
    wanted = {name.lower() for name, _ in family.present}
    assert [(name, value) for name, value in exact(received) if name.lower() in wanted] == [*family.present]
    ours_once(received)
    ruling = ground.entry("ruling", seen.only.header("stagewarden-ruling"))
    assert ruling["final"] == {"send": digest(received, "mallory", family.upstream, "generate")}
    assert (ruling["request"]["method"], ruling["request"]["path"]) == (method, target.partition("?")[0])
    assert family.route is None or ruling["proposed"]["route"] == family.route
    assert "policy" in ruling["took_us"]
    return seen


def ours_once(received: Received) -> None:
    """What only we may say stands there once and is ours: credential, framing, Host, ruling."""
    names = [name.lower() for name, _ in received.headers]
    assert [names.count(name) for name in ("authorization", "host", "stagewarden-ruling", "stagewarden-review")] == [1, 1, 1, 1]
    assert names.count("content-length") <= 1
    assert "transfer-encoding" not in names
    assert received.header("authorization") == "Bearer drafter-secret"
    assert not [name for name in names if name.startswith("stagewarden-") and name not in {"stagewarden-ruling", "stagewarden-review"}]
