"""Ways to spoil one place of a good request, each with the answers that refuse it (hardening.md's table)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from tests.attacks.generated import Draft

_ALL = frozenset({"none", "json", "form", "opaque"})
_AMBIGUOUS = frozenset({400})

_SEGMENTS = (
    b"..", b".", b"%2e%2e", b".%2E", b"", b"a%2fb", b"a%2Fb", b"a%5Cb", b"a\\b", b"x;y=1", b"..;", b"a%00", b"a%0d%0aX:y", b"a%zz", b"a%2",
    b"\xc3\xa4", b"a%252fb", b"%2561", b"a|b", b"<a>", b'"', b"%c0%ae", b"%ff", b"a\x7f", b"a#b", b"a\x00", b"a%3b", b"^", b"`", b"{a}",
)  # fmt: skip
_LINES = (
    b"X_A: 1", b"_x: 1", b"X-A : 1", b"X(A): 1", b": x", b"X-A: a\x00b", b"X-A: caf\xe9", b"X-A: \xc3\xa4", b"X-A: \x1b[2J", b"X-A: a\rb",
    b"X-A: a\nX-B: c", b"X-A: 1\r\n folded", b"X-A: 1\r\n\tfolded", b"no colon", b"X-HTTP-Method-Override: DELETE", b"x-http-method: PUT",
    b"X-Method-Override: PUT", b"X-Original-URL: /x", b"X-Original-Method: GET", b"X-Rewrite-URL: /x", b"Upgrade: h2c", b"Upgrade: websocket",
    b"HTTP2-Settings: AAMA", b"Connection: Host", b"Connection: authorization", b"Connection: Content-Type", b"Connection: Stagewarden-Agent",
    b"Connection: close, X-Forwarded-For", b"Connection: ,", b"Trailer: X-A", b"Expect: 200-ok", b"Expect: 100-continue, x", b"Host: app.test",
    b"host: evil.test", b"Authorization: Bearer x", b"Transfer-Encoding: gzip", b"Transfer-Encoding: identity", b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding:\x0bchunked", b"Content-Length: +5", b"Content-Length: 0x5", b"Content-Length: 5, 5",
    b"Content-Length: 05", b"Content-Length: -1", b"Content-Length: 5 5", b"Content-Length:", b"Content-Length: 5\r\nContent-Length: 5",
)  # fmt: skip
_HOSTS = (None, b"", b"evil.test", b"app.test@evil.test", b"app.test/x", b"app.test:99999", b"app.test:80x", b"app.test,evil.test", b"app.test.")
_VERSIONS = (b"HTTP/1.2", b"HTTP/2.0", b"HTTP/0.9", b"http/1.1", b"HTTP/1.1 x", b"HTTP/1,1", b"HTTP/11", b"")
_DOCUMENTS = (
    b'{"status":"draft","status":"publish"}', b'{"status":"draft","st\\u0061tus":"publish"}', b'{"a":{"b":1,"b":2}}', b'{"Status":"publish"}',
    b'{"a":NaN}', b'{"a":-Infinity}', b'{"a":9007199254740993}', b'{"a":1e999}', b'{"a":"\\ud800"}', b'{"\\udc00\\ud800":1}', b'\xef\xbb\xbf{"a":1}',
    b'{"a":1}x', b'{"a":1}{"a":2}', b'{"a":"\xff"}', b'{"a":"\xed\xa0\x80"}', b'{"a":01}', b"{'a':1}", b'{"a":1,}', b"", b'{"a"',
    b"[" * 65 + b"]" * 65, b"[" * 5000, b'{"a":"\x01"}', '{"a":1}'.encode("utf-16"), b'{"a":1/**/}',
)  # fmt: skip
_FORMS = (b"a=1&a=2", b"a=1&%61=2", b"a=%zz", b"a=%", b"a=1;b=2", b"=1", b"a=%ff", b"Status=publish")
_CHUNKS = (
    b"5 \r\nhello\r\n0\r\n\r\n", b"0x5\r\nhello\r\n0\r\n\r\n", b"5\nhello\r\n0\r\n\r\n", b"-1\r\n\r\n", b"5\r\nhelloo\r\n0\r\n\r\n", b"\r\nhello\r\n",
    b"5\r\nhello0\r\n\r\n", b"5;a\nb\r\nhello\r\n0\r\n\r\n", b"\xd9\xa5\r\nhello\r\n0\r\n\r\n", b"FFFFFFFFFFFFFFFFF\r\nhello\r\n", b"g\r\n",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spoiler:
    """One kind of spoiling, and for which kinds of request it is one."""

    name: str
    statuses: frozenset[int]
    spoil: Callable[[random.Random, Draft], None]
    kinds: frozenset[str] = _ALL


def _segment(rng: random.Random, draft: Draft) -> None:
    path, mark, query = draft.target.partition(b"?")
    parts = path.split(b"/")
    parts.insert(rng.randint(1, len(parts) - 1), rng.choice(_SEGMENTS))
    draft.target = b"/".join(parts) + mark + query


def _form_of_target(rng: random.Random, draft: Draft) -> None:
    target = draft.target
    draft.target = rng.choice(
        (b"http://app.test" + target, target[1:], b"*", b"//evil.test" + target, b"app.test:80", target + b"#x", b"\\" + target)
    )


def _long(_: random.Random, draft: Draft) -> None:
    draft.target = b"/" + b"a" * 9000


def _unlisted(rng: random.Random, draft: Draft) -> None:
    path = draft.target.partition(b"?")[0]
    draft.target = path + b"?" + rng.choice((b"_method=DELETE", b"status=publish", b"admin", b"%5Fmethod=PUT", b"rest_route=/wp/v2/posts"))


def _query(rng: random.Random, draft: Draft) -> None:
    path = draft.target.partition(b"?")[0]
    draft.target = path + b"?" + rng.choice((b"q=1&q=2", b"q=1&%71=2", b"q=%zz", b"=1", b"q=1&&page=2", b"q=a;b", b"q=%ff", b"q=<x>", b"q=\xc3\xa4"))


def _line(rng: random.Random, draft: Draft) -> None:
    draft.lines.insert(rng.randint(0, len(draft.lines)), rng.choice(_LINES))


def _host(rng: random.Random, draft: Draft) -> None:
    draft.host = rng.choice(_HOSTS)


def _method(rng: random.Random, draft: Draft) -> None:
    draft.method = rng.choice((draft.method.lower(), draft.method.title(), b"", draft.method + b":", b"GE\x00T", b"P\xc3\x96ST", b"(GET)"))


def _version(rng: random.Random, draft: Draft) -> None:
    draft.version = rng.choice(_VERSIONS)


def _credential(rng: random.Random, draft: Draft) -> None:
    wrong = b"sw_mallory_" + b"A" * 43
    draft.credential = rng.choice(
        (None, b"Bearer " + wrong, b"Basic bWFsbG9yeTp4", b"Bearer", b"Bearer sw_battery x", b"bearer " + wrong, b"Bearer swp_x")
    )


def _content_encoding(rng: random.Random, draft: Draft) -> None:
    draft.lines.append(b"Content-Encoding: " + rng.choice((b"gzip", b"identity", b"gzip, gzip", b"br", b"GZIP")))


def _document(rng: random.Random, draft: Draft) -> None:
    _body(draft, rng.choice(_DOCUMENTS))


def _form(rng: random.Random, draft: Draft) -> None:
    _body(draft, rng.choice(_FORMS))


def _body(draft: Draft, body: bytes) -> None:
    draft.framing, draft.payload = [b"Content-Length: %d" % len(body)], body


def _type(rng: random.Random, draft: Draft) -> None:
    draft.lines = [line for line in draft.lines if not line.lower().startswith(b"content-type")]
    draft.lines += rng.choice(([], [b"Content-Type: text/html"], [b"Content-Type: application/json; charset=latin-1"], [b"Content-Type: ;;;"]))


def _large(rng: random.Random, draft: Draft) -> None:
    draft.framing, draft.payload = [b"Content-Length: %d" % rng.choice((1048577, 2097152, 99999999999))], b""


def _chunks(rng: random.Random, draft: Draft) -> None:
    draft.framing, draft.payload = [b"Transfer-Encoding: chunked"], rng.choice(_CHUNKS)


def _smuggled(rng: random.Random, draft: Draft) -> None:
    """Another good request of the same number inside the body of one whose length can be read in two ways."""
    inner = b"GET /smuggled HTTP/1.1\r\nHost: app.test\r\nAuthorization: Bearer sw_battery\r\nX-Number: %d\r\n\r\n" % draft.number
    both = [b"Content-Length: %d" % (len(inner) + 5), b"Transfer-Encoding: chunked"]
    draft.framing = rng.choice((both, both[::-1], [b"Content-Length: 0", *both[:1]], [*both[:1], b"Transfer-Encoding : chunked"]))
    draft.payload = b"0\r\n\r\n" + inner


_BODIES = frozenset({"json", "form", "opaque"})
SPOILERS = (
    Spoiler("segment", _AMBIGUOUS, _segment),
    Spoiler("form-of-target", _AMBIGUOUS, _form_of_target),
    Spoiler("long-target", frozenset({414}), _long),
    Spoiler("query-not-listed", frozenset({403}), _unlisted),
    Spoiler("query", _AMBIGUOUS, _query),
    Spoiler("header-line", _AMBIGUOUS, _line),
    Spoiler("header-line-again", _AMBIGUOUS, _line),
    Spoiler("host", _AMBIGUOUS, _host),
    Spoiler("method", _AMBIGUOUS, _method),
    Spoiler("version", _AMBIGUOUS, _version),
    Spoiler("credential", frozenset({401}), _credential),
    Spoiler("content-encoding", frozenset({415}), _content_encoding),
    Spoiler("json", _AMBIGUOUS, _document, frozenset({"json"})),
    Spoiler("json-again", _AMBIGUOUS, _document, frozenset({"json"})),
    Spoiler("form", _AMBIGUOUS, _form, frozenset({"form"})),
    Spoiler("type", frozenset({415}), _type, _BODIES),
    Spoiler("large", frozenset({413}), _large, _BODIES),
    Spoiler("chunks", frozenset({400, 413}), _chunks, _BODIES),
    Spoiler("smuggled", _AMBIGUOUS, _smuggled, _BODIES),
)
