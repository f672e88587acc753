"""Trace Context over a raw socket: passed on as it came, never acted upon; refused only for what no header may be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.ground import digest, exact, get

CASES = json.loads((Path(__file__).parent / "headers.json").read_text())["cases"]
# Refused, for what any header would be refused for.
REFUSED = {
    "bad-tid-unicode-digit": "a value that is not ASCII",
    "name-traceunderscoreparent": "an underscore in a name can pass for a hyphen",
    "ts-bad-value-nonascii": "a value that is not ASCII",
    "ts-name-traceunderscorestate": "an underscore in a name can pass for a hyphen",
}


def sent(case: dict) -> bytes:
    """A request with the case's lines."""
    return get(b"/traced", *(f"{name}: {value}".encode() for name, value in case["in"]))


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CASES])
def test_passed_on_as_it_came(ground, case):
    """Every line arrives in order and unchanged, or nothing does; the judged digest covers what arrived."""
    seen = ground.attack(sent(case))
    if case["id"] in REFUSED:
        assert (seen.only.status, seen.only.code, seen.reached) == (400, "ambiguous_request", ())
        return
    assert seen.only.status == 200
    (received,) = seen.reached
    forwarded = [(name, value.strip(" \t")) for name, value in exact(received) if name.lower().startswith(("trace", "xtrace"))]
    assert forwarded == [(name, value.strip(" \t")) for name, value in case["in"]]
    assert ground.entry("ruling", seen.only.header("stagewarden-ruling"))["final"] == {"send": digest(received, "mallory", "lab", "generate")}


def test_a_repeat_under_another_trace_is_the_same_request(ground):
    """A client that retries with new trace ids meets the hold it has; the bytes that wait are the first ones."""
    body = b'{"status":"publish","title":"traced"}'
    holds = []
    for case in (CASES[0], next(case for case in CASES if case["id"] == "bad-vff")):
        lines = b"\r\n".join(f"{name}: {value}".encode() for name, value in case["in"])
        raw = get(b"/articles", lines, b"Content-Type: application/json", b"Content-Length: %d" % len(body)).replace(b"GET", b"POST", 1) + body
        seen = ground.attack(raw)
        assert (seen.only.code, seen.reached) == ("held", ())
        holds.append(json.loads(seen.only.body)["hold"])
    assert holds[0]["id"] == holds[1]["id"]
    assert dict(holds[1]["request"]["headers"])["traceparent"] == CASES[0]["in"][0][1]


def test_every_case_is_there():
    """None is lost, and nothing is argued about a case that is not there."""
    names = {case["id"] for case in CASES}
    assert len(CASES) == len(names) == 81
    assert set(REFUSED) <= names
