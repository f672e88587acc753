"""Every reply of tests/conformance/opa-replies, over a real socket: a bad one is a no, in time, and leaves nothing for the next question."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

from stagewarden.clock import SystemClock
from stagewarden.decision.opa import Address, OpaDecider
from stagewarden.errors import PolicyUnavailable
from stagewarden.model import Deny, Question
from tests.unit.decision.scripted import Reply, Scripted, listening

SUITE = json.loads((Path(__file__).parents[2] / "conformance" / "opa-replies" / "replies.json").read_text())
CASES = {case["id"]: case for case in SUITE["cases"]}
TOKENS = {**SUITE["default_tokens"], "@@PRE@@": '"provenance":{"version":"1.22.0","bundles":{"stagewarden":{"revision":"r1"}}},'}
PLAIN = b'{@@PRE@@"result":@@ALLOW@@}'
PATIENCE = 30.0  # seconds, where an answer is expected: on a busy machine too it comes long before
HASTE = 0.2  # seconds, where none will come in time
WITHOUT_AN_END = {"status-line/tls-alert", "status-line/ssh", "status-line/no-head-at-all", "framing/chunk-lf"}  # what came might still go on
OWN = '{"effect":"deny","tier":"low","cacheable":false,"reasons":[{"code":"prohibited","rule":"own","text":"own"}],"seats":[],"obligations":{}}'


def filled(text: bytes) -> bytes:
    """The template with this project's tokens."""
    for token in ("@@PRE@@", "@@ALLOW@@", "@@DENY@@"):
        text = text.replace(token.encode(), TOKENS[token].encode())
    return text


def reply_of(case: dict[str, Any]) -> Reply:
    """The bytes of a case, as its README says: tokens, then lengths, then chunks."""
    template = case["template"]
    raw = base64.b64decode(template["body_base64"])
    if case["expect"] == "allow" and b"@@PRE@@" not in raw:
        raw = raw.replace(b"{", b"{@@PRE@@", 1)
    body = filled(raw)
    if b"chunked" in template["head"].encode() and raw[:2] == b"65":  # sizes are for the default allow
        body = b"%x%b" % (len(filled(PLAIN)), body[2:])
    if template.get("chunk_the_body"):
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    head = re.sub(r"@@CL([+-]\d+)?@@", lambda match: str(len(body) + int(match[1] or 0)), template["head"]).encode("latin-1")
    data = head + body
    if "then_raw" in case:
        data += reply_of(CASES[case["then_raw"]]).data
    if "after_base64" in case:
        data += base64.b64decode(case["after_base64"])
    timing = dict(case.get("timing", {}))
    if timing.get("then") == "repeat":
        timing["repeat"] = base64.b64decode(timing["repeat_base64"])
    return Reply(data, timing)


def own_reply() -> Reply:
    """What the next question must be answered with: a deny nobody else says."""
    body = f'{{{TOKENS["@@PRE@@"]}"result":{OWN}}}'.encode()
    return Reply(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


async def effect(engine: OpaDecider) -> str:
    """The verdict's effect; no answer is a deny, and told apart where it is only that none came in time."""
    try:
        return (await engine.decide(Question({"version": 1}))).effect
    except PolicyUnavailable as error:
        return {"undefined": "deny", "error": "deny", "timeout": "deny, late"}.get(error.cause, f"unknown cause {error.cause}")


def silent(case: dict[str, Any]) -> bool:
    """Whether only the deadline may end the wait."""
    timing = case.get("timing", {})
    return "delay_ms" in timing or timing.get("then") == "hang" or case["id"] in WITHOUT_AN_END


def engine_for(path: Path, deadline: float = PATIENCE, *, bundled: bool = True) -> OpaDecider:
    """The engine that expects revision r1."""
    return OpaDecider(Address(str(path), "localhost", 0, tls=False), "r1", deadline, SystemClock(), bundled=bundled)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_reply_is_what_it_is_expected_to_be(case: dict[str, Any], tmp_path: Path) -> None:
    """Only a whole, plain, well-formed reply of the expected bundle is a verdict; the next question gets its own answer."""
    # A case whose template has no place for the provenance is judged as a sandbox does, or it would be denied for the wrong reason.
    bundled = (
        case["family"] == "revision" or "@@PRE@@" in base64.b64decode(case["template"]["body_base64"]).decode("latin-1") or case["expect"] == "allow"
    )
    script = Scripted([reply_of(case), own_reply()])
    path = tmp_path / "opa.sock"
    async with listening(script, path):
        engine = engine_for(path, HASTE if silent(case) else PATIENCE, bundled=bundled)
        said = await effect(engine)
        while not script.requests:  # the machine stood still, and the deadline passed before the question had left
            said = await effect(engine)
        assert said in {case["expect"], *case.get("alternatives", ()), *(["deny, late"] if silent(case) else ())}
        engine._deadline = PATIENCE
        verdict = await engine.decide(Question({"version": 1}))
        assert isinstance(verdict, Deny)
        assert verdict.reasons[0].rule == "own"
        if case.get("expect_next") == "fresh":
            assert script.connections == 2
        await engine.close()


async def test_who_speaks_before_being_asked_is_not_opa(tmp_path: Path) -> None:
    """An allow that is on its way before the question is never read (bypasses.md: "OPA stand-in answering before the request")."""
    early = reply_of(CASES["control/allow"])
    early.timing["when"] = "before_request"
    path = tmp_path / "opa.sock"
    script = Scripted([early])
    async with listening(script, path):
        engine = engine_for(path)
        assert await effect(engine) == "deny"
        assert script.requests == []
        await engine.close()


async def test_an_idle_connection_that_speaks_is_thrown_away(tmp_path: Path) -> None:
    """Bytes that come between two questions spoil the connection, even when they come in the same turn of the loop."""
    first = reply_of(CASES["control/allow"])
    path = tmp_path / "opa.sock"
    script = Scripted([first, own_reply()])
    async with listening(script, path):
        engine = engine_for(path)
        assert await effect(engine) == "allow"
        assert await effect(engine) == "deny"
        assert script.connections == 1  # a clean connection is used again
        await engine.close()


async def test_a_server_without_a_bundle_is_for_sandboxes(tmp_path: Path) -> None:
    """Without any bundle production refuses and a sandbox goes on; a wrong bundle is refused by both."""
    path = tmp_path / "opa.sock"
    bare = f'{{"result":{TOKENS["@@ALLOW@@"]}}}'.encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    async with listening(Scripted([Reply(head % len(bare) + bare)]), path):
        production, sandbox = engine_for(path), engine_for(path, bundled=False)
        assert (await effect(production), await effect(sandbox)) == ("deny", "allow")
        await production.close()
        await sandbox.close()
    path.unlink(missing_ok=True)
    async with listening(Scripted([reply_of(CASES["revision/wrong"])]), path):
        sandbox = engine_for(path, bundled=False)
        assert await effect(sandbox) == "deny"
        await sandbox.close()
