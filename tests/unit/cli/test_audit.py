"""`audit verify` and `audit show` as a person and a machine use them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from stagewarden.audit.entries import outcome_entry, ruling_entry
from stagewarden.cli.audit import _summary, audit, printable
from stagewarden.model import Outcome
from tests.unit.audit.parts import audit_log, ruling, segments_of

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "x\x1b[2J\x1b]0;owned\x07\u202etxt\u200b\x9b31m\r\nroot: ok\u2028[bold]"


def run(*words: object):
    """The command's result."""
    return CliRunner().invoke(audit, [str(word) for word in words])


@pytest.fixture
async def directory(tmp_path) -> Path:
    """A log with a hostile agent's ruling, its outcome, a hold, a vote, a read and a summary of refusals."""
    log = audit_log(tmp_path / "audit")
    await log.open({"version": "1"})
    await log.append("ruling", ruling_entry(ruling("deny", agent=HOSTILE, asserted={"model": HOSTILE})))
    one = ruling("allow")
    await log.append("ruling", ruling_entry(one))
    await log.append("outcome", outcome_entry(Outcome(one.id, "done", 201, None, None, 0, 0.1)))
    await log.append("hold", {"hold": "h_1", "ruling": "r_x", "event": "opened", "from": None, "state": "pending"}, "e_1")
    await log.append("vote", {"hold": "h_1", "ruling": "r_x", "person": "alice", "decision": "approve", "function": "legal"}, "e_2")
    await log.append("read", {"by": HOSTILE, "what": "payload"})
    await log.append("refusals", {"refusals": [{"code": "unauthenticated", "peer": "10.0.0.1", "count": 7}]})
    await log.close()
    (tmp_path / "one").write_text(one.id)
    return tmp_path / "audit"


def test_an_unbroken_log_is_unanchored_and_exits_0(directory) -> None:
    """The first word is the answer; the caution says what it does not prove."""
    result = run("verify", "--directory", directory)
    assert result.exit_code == 0
    assert result.output.startswith("unanchored after 7: 8 entries, head sha256:")
    assert "No outside checkpoint" in result.output


def test_a_broken_log_exits_1_with_where_and_how(directory) -> None:
    """`broken` first, for people and for machines."""
    path = segments_of(directory)[0]
    path.write_bytes(path.read_bytes().replace(b'"alice"', b'"mallo"'))
    result = run("verify", "--directory", directory)
    assert result.exit_code == 1
    assert result.output.startswith("broken at 5, edited: ")
    as_json = run("verify", "--directory", directory, "--json")
    assert as_json.exit_code == 1
    assert {name: json.loads(as_json.output)[name] for name in ("state", "at", "how")} == {"state": "broken", "at": 5, "how": "edited"}


NO_LOG = {"absent": lambda path: None, "empty": lambda path: path.mkdir(), "a file": lambda path: path.write_bytes(b"x")}


@pytest.mark.parametrize("make", NO_LOG.values(), ids=NO_LOG)
def test_no_log_is_no_pass(tmp_path, make) -> None:
    """Neither 0 nor a traceback; a file is a usage error."""
    make(tmp_path / "log")
    result = run("verify", "--directory", tmp_path / "log")
    assert result.exit_code in (1, 2)
    assert result.exception is None or isinstance(result.exception, SystemExit)


MISNAMED = {"neither": [], "both": ["--directory", ".", "--config", __file__], "no such file": ["--config", "/nonexistent.yaml"]}


@pytest.mark.parametrize("words", MISNAMED.values(), ids=MISNAMED)
@pytest.mark.parametrize("command", ["verify", "show"])
def test_the_log_has_to_be_named_once(command, words) -> None:
    """Exit 2 is a usage error."""
    assert run(command, *words).exit_code == 2


@pytest.mark.parametrize("last", [1, 3, 100])
def test_json_is_the_log_byte_for_byte(directory, last) -> None:
    """One entry a line, so that digests can be computed again from what was printed."""
    lines = segments_of(directory)[0].read_bytes().splitlines(keepends=True)
    result = run("show", "--directory", directory, "--json", "--last", last)
    assert result.exit_code == 0
    assert result.stdout_bytes == b"".join(lines[-last:])


@pytest.mark.parametrize("words", [("show",), ("show", "--last", "3")], ids=["all", "the last three"])
def test_cve_2024_45808_nothing_an_agent_wrote_steers_the_terminal(directory, words) -> None:
    """ANSI sequences, bidi controls, C1, line breaks and markup come out as escapes."""
    output = run(*words, "--directory", directory).output
    assert all(letter.isprintable() or letter == "\n" for letter in output)
    assert "\nroot: ok" not in output
    assert "\\x1b[2J" in output


def test_cve_2025_25294_a_forged_field_stays_in_its_row(directory) -> None:
    """The number of rows is the number of entries."""
    output = run("show", "--directory", directory).output
    numbers = [line.split()[0] for line in output.splitlines()[1:] if line[:3].strip().isdigit()]
    assert numbers == [str(n) for n in range(8)]


def test_one_ruling_is_shown_whole_with_its_outcome(directory) -> None:
    """Everything that names it; as raw lines too."""
    ruling_id = (directory.parent / "one").read_text()
    output = run("show", "--directory", directory, "--ruling", ruling_id).output
    assert "outcome" in output
    assert ["data_sources", "not_applicable"] in [line.split() for line in output.splitlines()]
    assert ["proposed.stage", "export"] in [line.split() for line in output.splitlines()]
    lines = run("show", "--directory", directory, "--ruling", ruling_id, "--json").output.splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["ruling", "outcome"]


def test_an_unknown_ruling_is_a_refusal(directory) -> None:
    """Exit 1, and the id it was asked for, escaped."""
    result = run("show", "--directory", directory, "--ruling", "r_\x1b[2J")
    assert result.exit_code == 1
    assert "\\x1b" in result.output


def test_a_garbled_log_is_a_refusal_not_a_traceback(tmp_path) -> None:
    """With what to do about it."""
    (tmp_path / "00000000000000000000.jsonl").write_bytes(b"garbage\n")
    result = run("show", "--directory", tmp_path)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)


SHOWN = [
    ("plain é 漢", "plain é 漢"), ("\x1b[31m", "\\x1b[31m"), ("\u202e", "\\u202e"), ("\u200b", "\\u200b"), ("\x9b", "\\x9b"), ("a\nb", "a\\nb"),
    ("\U000e0041", "\\U000e0041"),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "shown"), SHOWN)
def test_printable_shows_what_it_hides(raw, shown) -> None:
    """Readable text stays; everything invisible or steering is named."""
    assert printable(raw) == shown


def test_a_stop_is_one_line(tmp_path) -> None:
    """Who stopped what and why, and the id that lifts it: what is looked for first, without the order's other members."""
    order = {"epoch": 1, "id": "e_1", "loosens": False, "observed_until_ns": 0, "relapse": False, "security": True, "by": "erin"}
    cases = (
        ("mode", {"act": "mode", "scope": "agent:drafter", "subject": "drafter", "mode": "paused", "reason": "drill"}),
        ("kill", {"act": "kill", "scope": "all", "subject": "k_1", "mode": "", "reason": "wrong prices"}),
        ("kill", {"act": "unkill", "scope": "all", "subject": "k_1", "mode": "", "reason": ""}),
    )
    assert [_summary({"kind": kind, **order, **members}) for kind, members in cases] == [
        "mode  agent:drafter  paused  drill", "kill  all  k_1  wrong prices", "unkill  all  k_1",
    ]  # fmt: skip


def test_a_folder_without_a_log_is_said_to_hold_none(tmp_path) -> None:
    """A mistyped folder is a finding, not a log in which nothing happened."""
    result = run("show", "--directory", tmp_path)
    assert (result.exit_code, "holds no log" in result.output) == (1, True)
