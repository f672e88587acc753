"""Sending: which credential is attached, what never passes, and what an answer means."""

from pathlib import Path

import pytest

from stagewarden.clock import SystemClock
from stagewarden.config import Secret, Secrets, StageCredential, Upstream
from stagewarden.errors import CannotTell
from stagewarden.gate.sending import Sender, result_of
from stagewarden.model import Request, Stage
from stagewarden.wire.upstream import Upstreams

READ = {"low": "Bearer low", "high": "Bearer high"}
OURS = (("Stagewarden-Ruling", "r_1"), ("Stagewarden-Review", "auto"))


def sender(*, announce=True, **credentials):
    """A sender with these credentials."""
    made = {stage: StageCredential(header=header, value=Secret(f"env:{name}")) for stage, (header, name) in credentials.items()}
    upstream = Upstream(url="https://cms.internal:8443/", destination="d", mount="/", credentials=made, announce=announce)
    return Sender({"cms": upstream}, Secrets(Path(), READ), Upstreams(SystemClock()))


def request(body=b"{}"):
    """A judged request."""
    return Request("cms", "POST", "https", "cms.internal:8443", "/posts?x=1", (("Content-Type", "application/json"),), body)


@pytest.mark.parametrize(
    ("stage", "credential"),
    [("generate", b"Bearer low"), ("edit", b"Bearer low"), ("queue", b"Bearer low"), ("approve", b"Bearer low"), ("export", b"Bearer high")],
)
def test_a_stage_takes_its_own_or_the_nearest_lower_credential(stage, credential):
    """A stage without a credential of its own takes the nearest lower stage's, never a higher one."""
    head = sender(generate=("Authorization", "low"), export=("Authorization", "high")).head(request(), Stage(stage), OURS)
    assert b"Authorization: " + credential + b"\r\n" in head


def test_no_stage_borrows_from_above():
    """Below the lowest credential there is none, and so nothing is sent."""
    with pytest.raises(CannotTell):
        sender(export=("Authorization", "high")).head(request(), Stage.GENERATE, OURS)


def test_the_head_is_the_judged_request_plus_ours():
    """Target, authority, headers and length are the request's; the ruling is announced."""
    head = sender(generate=("X-Token", "low")).head(request(), Stage.GENERATE, OURS)
    assert head == (
        b"POST /posts?x=1 HTTP/1.1\r\nHost: cms.internal:8443\r\nContent-Type: application/json\r\nX-Token: Bearer low\r\n"
        b"Stagewarden-Ruling: r_1\r\nStagewarden-Review: auto\r\nContent-Length: 2\r\n\r\n"
    )


def test_announce_false_says_nothing_of_us():
    """An upstream that must not know of us is told nothing."""
    assert b"Stagewarden" not in sender(announce=False, generate=("X-Token", "low")).head(request(), Stage.GENERATE, OURS)


def test_credential_headers_are_withheld_by_lower_case_name():
    """Whatever the agent put into a credential's header stays here."""
    assert sender(generate=("X-Token", "low"), export=("Authorization", "high")).withheld("cms") == {"x-token", "authorization"}


@pytest.mark.parametrize(
    ("status", "result"),
    [(200, "done"), (201, "done"), (302, "done"), (399, "done"), (400, "failed"), (499, "failed"), (500, "unknown"), (599, "unknown")],
)
def test_an_answer_means(status, result):
    """Below 400 done, 4xx failed, 5xx unknown."""
    assert result_of(status) == result
