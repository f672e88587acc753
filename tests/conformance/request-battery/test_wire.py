"""The battery's start lines, headers and JSON bodies against `wire/` alone: refused, or accepted exactly as given."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from pathlib import Path

import pytest

from stagewarden.config import Limits
from stagewarden.errors import Refused
from stagewarden.wire import form, headers, strict_json
from stagewarden.wire.target import parse_target

HERE = Path(__file__).parent
LIMITS = Limits()
_REQUEST = re.compile(rb"([^ \r\n]+) (.*) HTTP/1\.([01])\r\n", re.DOTALL)

# What wire never gets to see, because it is said by line ends, versions, chunk lines or what follows the message.
LISTENERS = re.compile(
    r"framing/(chunk-syntax|line-ends|version|one-in-one-out|pipelined|trailers|chunked-good)/|method/canonical/"
    r"|host/missing/|headers/illegal-bytes/(fold-tab|no-colon|name-space-colon)"
    r"|framing/transfer-encoding/(fold|lead-space)|json/content-type/"
)


def cases(suite: str) -> list:
    """One file's cases that can be said without a listener."""
    found = json.loads((HERE / f"{suite}.json").read_text())["cases"]
    return [pytest.param(case, id=case["id"]) for case in found if not LISTENERS.search(case["id"])]


def raw_of(case: dict) -> bytes:
    """The request's bytes."""
    if "raw" in case:
        return b64decode(case["raw"])
    build = case["build"]
    return b64decode(build["head"]) + b64decode(build["fill"]) * build["times"] + b64decode(build["tail"])


def read(raw: bytes) -> tuple[str, object]:
    """Target and whatever else wire makes of the request; raises Refused."""
    start = _REQUEST.match(raw)
    assert start is not None, raw[:80]
    block, _, body = raw[start.end() :].partition(b"\r\n\r\n")
    checked = headers.read(block + b"\r\n" if block else block, LIMITS, http10=start[3] == b"0").headers
    target = parse_target(start[2], LIMITS.target)
    host = headers.parse_host(next((value for name, value in checked if name.lower() == "host"), ""))
    if host != "app.test":
        raise Refused("misdirected", "the door answers to app.test only")
    types = [value for name, value in checked if name.lower() == "content-type"]
    if types == ["application/json"]:
        strict_json.refuse_case_variants(strict_json.loads(body, LIMITS.json_depth), strict_json.Listed.of({"status", "kind"}))
    if types == ["application/x-www-form-urlencoded"]:
        form.loads(body)
    return target.raw, headers.end_to_end(checked, "authorization")


@pytest.mark.parametrize("case", [*cases("path"), *cases("host"), *cases("headers"), *cases("method"), *cases("framing"), *cases("json")])
def test_battery(case):
    """Each case by its own expectation, under its advisory's name."""
    raw = raw_of(case)
    expect = case["expect"]
    try:
        target, forwarded = read(raw)
    except Refused:
        assert expect["outcome"] != "identical"
        return
    assert expect["outcome"] != "refuse", case["show"]
    start = _REQUEST.match(raw)
    assert start is not None
    assert target == start[2].decode("ascii")
    for absent in expect.get("upstream_absent_headers", ()):
        assert absent.lower() not in {name.lower() for name, _ in forwarded}
    for absent in expect.get("upstream_absent", ()):
        assert absent not in repr(forwarded)
    names = {name.lower() for name, _ in forwarded}
    assert not names & {"host", "authorization", "content-length", "transfer-encoding", "connection", "cookie"}


def test_what_is_left_to_the_listener_is_known():
    """The split is counted, so that no case is lost between this test and the ones with a listener."""
    suites = ("path", "host", "headers", "method", "framing", "json")
    found = [case["id"] for suite in suites for case in json.loads((HERE / f"{suite}.json").read_text())["cases"]]
    assert (len(found), sum(bool(LISTENERS.search(name)) for name in found)) == (407, 78)
