"""OPA's replies from raw bytes to a verdict: only what two other HTTP readers, a strict JSON reader and the schema accept too is one."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
from pathlib import Path

from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from stagewarden.clock import SystemClock
from stagewarden.decision.opa import Address, OpaDecider
from stagewarden.decision.opa.reply import MAX_BODY, BadReply, Reader, Reply
from stagewarden.decision.verdict import MAX_SEAT, parse
from stagewarden.errors import PolicyUnavailable
from stagewarden.model import Allow, Ask, Deny
from tests.fuzz.harness import ACCEPTED, Harness, refused
from tests.fuzz.readers import Pairs, all_pairs, client_response, llhttp_response

_ROOT = Path(__file__).parents[2]
_SCHEMA = Draft202012Validator(json.loads((_ROOT / "rego" / "schemas" / "verdict.json").read_text()))
_SUITE = json.loads((_ROOT / "tests" / "conformance" / "opa-replies" / "replies.json").read_text())
REVISION = "r1"
_ENGINE = OpaDecider(Address("/nowhere", "localhost", 0, tls=False), REVISION, 1.0, SystemClock(), bundled=True)
_PROVENANCE = '"provenance":{"version":"1.22.0","bundles":{"stagewarden":{"revision":"r1"}}},'
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


def judge(data: bytes) -> str:
    """As the engine reads a reply, or a body that gets a head here; how the bytes arrive makes no difference."""
    data = data if data.startswith(b"HTTP") else _framed(data)
    whole, pieces, bytewise = (_read(data, size) for size in (len(data) or 1, 1 + hashlib.sha256(data).digest()[0] % 40, 1))
    assert _same(whole, pieces)
    assert _same(whole, bytewise)
    if not isinstance(whole, Reply):
        return refused(f"reply {whole}")
    if whole.status != http.client.OK:
        return refused(f"status {whole.status // 100}xx")
    try:
        verdict = parse(_ENGINE._result(whole.body))
    except PolicyUnavailable as no:
        return refused(f"{no.cause} {str(no).partition(': line')[0].replace(chr(39) + 's', '')}")
    # (1) Two other readers of HTTP see this status and this body.
    status, seen = llhttp_response(data)
    assert (status, seen.body, seen.whole) == (whole.status, whole.body, True)
    assert client_response(data) == (whole.status, whole.body)
    assert len(whole.body) <= MAX_BODY
    # (2) A reader that keeps every pair finds no name twice, and the provenance we expect.
    document = _once(all_pairs(whole.body))
    assert isinstance(document, dict)
    assert [bundle["revision"] for bundle in document["provenance"]["bundles"].values()] == [REVISION]
    # (3) The schema the policies are checked by accepts it, and it says the same.
    said = document["result"]
    assert list(_SCHEMA.iter_errors(said)) == []
    assert isinstance(verdict, {"allow": Allow, "hold": Ask, "deny": Deny}[said["effect"]])
    assert str(verdict.tier) == said["tier"]
    assert [reason.code for reason in verdict.reasons] == [each["code"] for each in said["reasons"]] or (
        isinstance(verdict, Deny) and not said["reasons"]
    )
    if isinstance(verdict, Allow):
        assert verdict.cacheable is said["cacheable"]
    if isinstance(verdict, Ask):
        assert [(set(seat.functions), seat.count) for seat in verdict.seats] == [(set(each["functions"]), each["count"]) for each in said["seats"]]
        assert all(seat.count <= MAX_SEAT for seat in verdict.seats)
    # (4) Bytes behind it end the connection: they belong to nobody.
    if whole.keep:
        assert data.endswith((whole.body, b"0\r\n\r\n"))
    return f"{ACCEPTED} {said['effect']} {(whole.keep, b'chunked' in data, bool(said['obligations']), min(len(said['reasons']), 2))}"


def _read(data: bytes, size: int) -> Reply | str | None:
    reader = Reader()
    try:
        for at in range(0, len(data), size):
            if (reply := reader.feed(data[at : at + size])) is not None:
                return reply
    except BadReply as bad:
        return str(bad)
    return None


def _same(one: Reply | str | None, other: Reply | str | None) -> bool:
    """Alike but for `keep`, which depends on whether anything had arrived behind the reply; or both no reply."""
    if isinstance(one, Reply) and isinstance(other, Reply):
        return (one.status, one.body) == (other.status, other.body)
    return not isinstance(one, Reply) and not isinstance(other, Reply)


def _once(pairs: object) -> object:
    """The value, in which no name stands twice."""
    if isinstance(pairs, Pairs):
        names = [name for name, _ in pairs]
        assert len(set(names)) == len(names)
        return {name: _once(value) for name, value in pairs}
    return [_once(each) for each in pairs] if isinstance(pairs, list) else pairs


def _framed(body: bytes, *, chunked: bool = False) -> bytes:
    if chunked:
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    return _HEAD % len(body) + body


def _known() -> list[bytes]:
    tokens = {**_SUITE["default_tokens"], "@@PRE@@": _PROVENANCE}
    found = []
    for case in _SUITE["cases"]:
        body = base64.b64decode(case["template"]["body_base64"])
        for token, text in tokens.items():
            body = body.replace(token.encode(), text.encode())
        head = case["template"]["head"].replace("@@CL@@", str(len(body))).encode("latin-1")
        if len(head + body) < 1200:
            found.append(head + body)
    return found


_REASON = {"code": "ok", "rule": "r", "text": "t"}
_WORDS = st.sampled_from(["allow", "hold", "deny", "low", "medium", "high", "auto", "human", "sampled", "legal", "reviewer", "ok", "", "Allow"])
_VERDICT = st.fixed_dictionaries(
    {
        "effect": st.sampled_from(["allow", "hold", "deny", "deny ", 1]),
        "tier": st.sampled_from(["low", "medium", "high", "", None]),
        "cacheable": st.sampled_from([True, False, 0, None]),
        "reasons": st.lists(st.sampled_from([_REASON, {**_REASON, "detail": {}}, {**_REASON, "code": "Bad"}, {**_REASON, "x": 1}]), max_size=2),
        "seats": st.lists(
            st.fixed_dictionaries({"functions": st.lists(_WORDS, max_size=3), "count": st.sampled_from([0, 1, 2, 20, 21, 1.0, True])}), max_size=2
        ),
        "obligations": st.dictionaries(st.sampled_from(["response_fields", "review", "settle", "x"]), st.one_of(st.none(), _WORDS), max_size=2),
    }
)
_GROWN = st.tuples(_VERDICT, st.booleans(), st.sampled_from([REVISION, "r2"])).map(
    lambda parts: _framed(
        json.dumps({"provenance": {"bundles": {"stagewarden": {"revision": parts[2]}}}, "result": parts[0]}).encode(), chunked=parts[1]
    )
)
_TOKENS = (
    b"\r\n", b"\n", b"\r\n\r\n", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 ", b" 200 ", b" 204 ", b" 500 ", b"Content-Length: ",
    b"Transfer-Encoding: chunked\r\n", b"chunked", b"Content-Type: application/json\r\n", b"; charset=utf-8", b"Connection: close\r\n",
    b"Content-Encoding: gzip\r\n", b"0\r\n\r\n", b"5\r\n", b";x=1", b"ffff", b"00", b'"result":', b'"effect":"allow",', b'"allow"', b'"deny"',
    b'"hold"', b"true", b"null", b"1", b"{}", b"[]", b",", b'"seats":[{"functions":["legal"],"count":1}],', b'"obligations":{"review":"human"}',
    b'"revision":"r1"', b'"revision":"r2"', b'"x":{},', b"\xef\xbb\xbf", b" ", b"\t", b"\x00", b"\\u0061", b'"settle":"0s"',
)  # fmt: skip
_ALLOW = {"effect": "allow", "tier": "low", "cacheable": False, "reasons": [_REASON], "seats": [], "obligations": {}}
_HOLD = {**_ALLOW, "effect": "hold", "seats": [{"functions": ["legal", "compliance"], "count": 1}], "obligations": {"review": "human"}}
_GOOD = [f'{{{_PROVENANCE}"result":{json.dumps(each)}}}'.encode() for each in (_ALLOW, _HOLD, {**_ALLOW, "effect": "deny"})]
_SEEDS = [*_GOOD, *(_framed(body) for body in _GOOD), *(_framed(body, chunked=True) for body in _GOOD), *_known()]
HARNESS = Harness.of("opa_reply", judge, _SEEDS, _TOKENS, _GROWN)
