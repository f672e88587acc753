"""Requests made by a seeded generator: legitimate ones in odd spellings, and the same ones spoiled in one place.

Seeded and not Hypothesis: a million examples over a socket need microseconds each, and a block of a thousand is made again from its seed and
number alone. Every request says what must become of it; what may go on is kept apart from what is written, part by part.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.attacks.bodies import form_text, json_text
from tests.attacks.spoiled import SPOILERS

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK = 1000
_SPOILED, _HELD = 0.45, 0.004  # shares
_TOKEN = "!#$%&'*+-.^`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VALUE = "".join(map(chr, range(0x21, 0x7F)))
_PCHAR = "ABCXYZabcxyz019-._~!$&'()*+,=:@"
_ENCODED = ("%20", "%61", "%C3%A4", "%e2%82%ac", "%23", "%3F", "%5B", "%f0%9f%98%80", "%7E", "%2d")
_JSON_TYPES = (b"application/json", b"application/json; charset=utf-8", b"APPLICATION/JSON", b"application/merge-patch+json")
_OPAQUE_TYPES = (b"application/octet-stream", b"text/plain", b"text/plain; charset=utf-8", b"application/json")
_WITHHELD = (
    b"X-Forwarded-For: 10.0.0.1", b"X-Forwarded-Host: evil.test", b"X-FORWARDED-proto: https", b"Forwarded: for=1.1.1.1", b"Via: 1.1 evil",
    b"X-Real-IP: 127.0.0.1", b"Cookie: skip=1", b"TE: trailers", b"Proxy-Connection: keep-alive", b"Stagewarden-Agent: root",
    b"Stagewarden-Ruling: r_00000000000000000000000000", b"Prefer: handling=strict", b"x-envoy-original-path: /public", b"Connection: keep-alive",
    b"Keep-Alive: timeout=5", b"X-Middleware-Subrequest: src/middleware", b"Remote-User: admin", b"Proxy-Authorization: Basic eDp5",
)  # fmt: skip


@dataclass(slots=True)
class Draft:
    """A request while it is made. `lines` are header lines as they will be written; those in `kept` go on, in this order."""

    number: int
    method: bytes
    target: bytes
    body: bytes = b""
    version: bytes = b"HTTP/1.1"
    host: bytes | None = b"app.test"
    credential: bytes | None = b"Bearer sw_battery"
    kind: str = "none"  # json | form | opaque | none
    lines: list[bytes] = field(default_factory=list)
    framing: list[bytes] = field(default_factory=list)
    payload: bytes = b""  # the body as it is framed


@dataclass(frozen=True, slots=True)
class Made:
    """One request: its bytes, what must become of it, and what exactly goes on where it does."""

    number: int
    name: str
    raw: bytes
    fate: str  # sent | held | refused
    statuses: frozenset[int]
    method: bytes
    target: bytes
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes


def block(seed: int, index: int) -> Iterator[Made]:
    """The requests of one block, always the same."""
    rng = random.Random(f"{seed}/{index}")
    for number in range(index * BLOCK, (index + 1) * BLOCK):
        yield make(rng, number)


def make(rng: random.Random, number: int) -> Made:
    """One request."""
    chance = rng.random()
    if chance < _HELD:
        draft = Draft(number, b"POST", b"/articles", b'{"status":"publish","n":%d}' % number, kind="json")
        name, fate, statuses = "held", "held", frozenset({403})
    else:
        draft = legitimate(rng, number)
        name, fate, statuses = draft.kind, "sent", frozenset({200})
    dress(rng, draft)
    fields = forwarded(draft)
    method, target, body = draft.method, draft.target, draft.body
    if fate == "sent" and rng.random() < _SPOILED:
        spoiler = rng.choice([spoiler for spoiler in SPOILERS if draft.kind in spoiler.kinds])
        spoiler.spoil(rng, draft)
        name, fate, statuses = spoiler.name, "refused", spoiler.statuses
    return Made(number, name, written(rng, draft), fate, statuses, method, target, fields, body)


def legitimate(rng: random.Random, number: int) -> Draft:
    """A request that a route lists."""
    which = rng.randrange(8)
    if which == 0:
        return Draft(number, b"GET", b"/search" + query(rng))
    if which < 3:
        return Draft(number, rng.choice((b"GET", b"HEAD", b"DELETE", b"OPTIONS", b"GET")), path(rng))
    if which < 6:
        text = json_text(rng, rng.choice((None, "status", "kind")))
        return Draft(number, rng.choice((b"POST", b"PUT", b"PATCH")), b"/items", text, kind="json")
    if which == 6:
        return Draft(number, b"POST", b"/wp-json/wp/v2/posts", form_text(rng), kind="form")
    data = rng.randbytes(rng.choice((0, 1, 17, 300, 2000)))
    return Draft(number, rng.choice((b"POST", b"PUT", b"PATCH")), path(rng), data, kind="opaque")


def path(rng: random.Random) -> bytes:
    """Segments of pchars and percent triples; the first begins with a g, so that none is another route's."""
    segments = ["".join(rng.choice(_ENCODED) if rng.random() < 0.15 else rng.choice(_PCHAR) for _ in range(rng.randint(1, 8))) for _ in range(3)]
    segments = [segment if segment.strip(".") else f"{segment}x" for segment in segments[: rng.randint(0, 3)]]
    return "/".join(["", "g" + str(rng.randrange(100)), *segments]).encode()


def query(rng: random.Random) -> bytes:
    """Some of the listed parameters, each once."""
    names = rng.sample(("q", "page", "x[]", "%71"), rng.randint(0, 3))
    if "q" in names and "%71" in names:
        names.remove("%71")  # the same name, decoded
    pairs = [name + rng.choice(("", "=", "=1", "=a+b", "=%2Fadmin", "=%c3%a4", "=?/:@", "=a=b")) for name in names]
    return ("?" + "&".join(pairs)).encode() if pairs or rng.random() < 0.3 else b""


def dress(rng: random.Random, draft: Draft) -> None:
    """Header fields that go on, some that do not, and a framing for the body."""
    lines = [b"X-Number: %d" % draft.number]
    if draft.kind == "json":
        lines.append(mixed(rng, b"Content-Type") + b": " + rng.choice(_JSON_TYPES))
    elif draft.kind == "form":
        lines.append(b"Content-Type:application/x-www-form-urlencoded")
    elif draft.kind == "opaque":
        lines.append(b"content-type:" + rng.choice(_OPAQUE_TYPES) + b" ")
    for _ in range(rng.randrange(5)):
        name = "X-G" + "".join(rng.choices(_TOKEN, k=rng.randint(1, 6)))
        value = rng.choice((" ", "\t", ", ")).join("".join(rng.choices(_VALUE, k=rng.randint(1, 12))) for _ in range(rng.randrange(3)))
        lines += [f"{name}:{rng.choice(('', ' ', '  '))}{value}{rng.choice(('', ' '))}".encode()] * rng.choice((1, 1, 1, 2))
    lines += rng.sample(_WITHHELD, rng.choice((0, 0, 1, 2)))
    rng.shuffle(lines)
    draft.lines = lines
    if draft.kind != "none":
        frame(rng, draft)


def mixed(rng: random.Random, name: bytes) -> bytes:
    """The name in another case."""
    return rng.choice((name, name.lower(), name.upper(), name.swapcase()))


def frame(rng: random.Random, draft: Draft) -> None:
    """By length or in chunks."""
    if rng.random() < 0.6:
        draft.framing, draft.payload = [mixed(rng, b"Content-Length") + b": %d" % len(draft.body)], draft.body
        if draft.body and rng.random() < 0.05:
            draft.framing.append(b"Expect: 100-continue")
        return
    draft.framing = [b"Transfer-Encoding: chunked"]
    rest, pieces = draft.body, []
    while rest:
        size = rng.choice((1, 5, 16, 255, 4096))
        pieces.append(rng.choice((b"%x", b"%X")) % len(rest[:size]) + b"\r\n" + rest[:size] + b"\r\n")
        rest = rest[size:]
    draft.payload = b"".join(pieces) + b"0\r\n\r\n"


def forwarded(draft: Draft) -> tuple[tuple[bytes, bytes], ...]:
    """The lines that go on, as name and value."""
    pairs = [line.partition(b":") for line in draft.lines if line not in _WITHHELD]
    return tuple((name, value.strip(b" ")) for name, _, value in pairs)


def written(rng: random.Random, draft: Draft) -> bytes:
    """As it goes over the wire: Host, credential and framing somewhere among the lines."""
    ours = [*draft.framing]
    ours += [] if draft.host is None else [b"Host: " + draft.host]
    ours += [] if draft.credential is None else [b"Authorization: " + draft.credential]
    lines = draft.lines.copy()
    for line in ours:
        lines.insert(rng.randint(0, len(lines)), line)
    head = b"\r\n".join([draft.method + b" " + draft.target + b" " + draft.version, *lines])
    return head + b"\r\n\r\n" + draft.payload
