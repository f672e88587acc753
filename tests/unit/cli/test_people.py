"""`holds` against the people's listener, and how its commands end badly."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from stagewarden.cli import main
from stagewarden.cli.people_api import client
from stagewarden.model import HoldState
from stagewarden.store import Confirmation, Revision
from tests.fakes import FOUR, held
from tests.people_listener import people_listener

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from click.testing import Result

    from tests.people_listener import Served


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """The people's listener on loopback."""
    async with people_listener(tmp_path) as running:
        yield running


async def run(served: Served, *words: str, who: str = "ines", url: str | None = None) -> Result:
    """The command in a thread, with somebody's token in its environment."""
    options = ("--url", url or served.url)
    return await asyncio.to_thread(CliRunner(env={"STAGEWARDEN_TOKEN": served.tokens.get(who, who)}).invoke, main, [*words, *options])


def yes(*missing: str) -> list[str]:
    """Every question answered with yes but for some."""
    return [word for name in FOUR if name not in missing for word in ("--answer", f"{name}=yes")]


async def test_list_and_show(served: Served) -> None:
    """A table for people, JSON for machines; the exact request whole and escaped."""
    hold = served.gate.add(held(time.time_ns(), {"title": "pay\u202elad \x1b[31m"}))
    listed = await run(served, "holds", "list", "--mine")
    as_json = await run(served, "holds", "list", "--json")
    shown = await run(served, "holds", "show", hold.id)
    assert hold.id in listed.output
    assert json.loads(as_json.output)[0]["digest"] == hold.digest
    assert ("POST /wp-json/wp/v2/posts/1842" in shown.output, "\x1b" in shown.output, "\u202e" in shown.output) == (True, False, False)


async def test_approve(served: Served) -> None:
    """Every question answered, the digest reviewed: the hold is approved."""
    hold = served.gate.add(held(time.time_ns()))
    done = await run(served, "holds", "approve", hold.id, *yes(), "--digest", hold.digest, "--note", "Checked")
    assert (done.exit_code, served.gate.holds[hold.id].state) == (0, HoldState.APPROVED)
    assert "approved" in done.output


@pytest.mark.parametrize("body", [b'{"title": "Opening times"}', b"\xff\x00"], ids=["text", "bytes"])
async def test_approve_with_an_edit(served: Served, tmp_path: Path, body: bytes) -> None:
    """The file's bytes to the byte, no question asked; the hold that takes the other's place is told."""
    hold = served.gate.add(held(time.time_ns()))
    (tmp_path / "edited.json").write_bytes(body)
    done = await run(served, "holds", "approve", hold.id, "--edit", str(tmp_path / "edited.json"))
    (fresh,) = [one for one in served.gate.holds.values() if one.predecessor == hold.id]
    assert (done.exit_code, fresh.id in done.output, fresh.request.body, fresh.editor) == (0, True, body, "ines"), done.output


async def test_proposals_are_listed_apart_and_taken_up(served: Served) -> None:
    """They are not among what people are asked; taking one up puts it there."""
    proposal, asked = served.gate.add(held(time.time_ns(), asked=False)), served.gate.add(held(time.time_ns()))
    listed = {flag: (await run(served, "holds", "list", *flag)).output for flag in ((), ("--proposals",))}
    assert [(proposal.id in text, asked.id in text) for text in listed.values()] == [(False, True), (True, False)]
    done = await run(served, "holds", "take-up", proposal.id)
    assert (done.exit_code, served.gate.holds[proposal.id].asked) == (0, True)
    assert (await run(served, "holds", "take-up", asked.id, who="jonas")).exit_code == 1


async def test_registries_that_wait_are_listed_and_confirmed_by_digest(served: Served) -> None:
    """Each place that widens, with its change; a confirmation names what was looked at."""
    served.gate.revisions.append(Revision("c_1", "waiting", "sha256:0", "sha256:1", served.gate.registry, 1, (Confirmation("mara", 2),)))
    listed = await run(served, "registry", "revisions", "--json")
    assert [(one["id"], one["digest"], one["confirmations"][0]["person"]) for one in json.loads(listed.output)] == [("c_1", "sha256:1", "mara")]
    assert (await run(served, "registry", "revisions")).exit_code == 0
    done = await run(served, "registry", "confirm", "c_1", "--digest", "sha256:1")
    assert (done.exit_code, "c_1 is confirmed by mara" in done.output) == (0, True), done.output
    other = await run(served, "registry", "confirm", "c_1", "--digest", "sha256:2")
    assert (other.exit_code, "digest" in other.output) == (1, True)
    assert (await run(served, "registry", "confirm", "c_1", "--digest", "sha256:1", who="reader")).exit_code == 1


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (yes("brand"), 2, "brand not answered"),
        ([*yes("brand"), "--answer", "brand=maybe"], 2, "QUESTION=yes"),
        ([*yes("brand"), "--answer", "brand=no"], 1, "an approval with a no"),
        ([*yes(), "--digest", "sha256:00"], 1, "another than the one you reviewed"),
        ([*yes(), "--function", "security"], 1, "function"),
    ],
    ids=["open", "malformed", "no", "digest", "function"],
)
async def test_approvals_that_are_not_cast(served: Served, words: list[str], code: int, said: str) -> None:
    """Refused with the reason, and nothing was cast."""
    hold = served.gate.add(held(time.time_ns()))
    refused = await run(served, "holds", "approve", hold.id, *words)
    assert (refused.exit_code, said in refused.output) == (code, True), refused.output
    assert served.gate.holds[hold.id] == hold


async def test_reject_and_stop(served: Served) -> None:
    """One reason for a rejection; none for a stop."""
    one, other = served.gate.add(held(time.time_ns())), served.gate.add(held(time.time_ns()))
    assert (await run(served, "holds", "reject", one.id)).exit_code == 2
    assert (await run(served, "holds", "reject", one.id, "--reason", "timing")).exit_code == 0
    assert (await run(served, "holds", "stop", other.id, who="stopper")).exit_code == 0
    assert (served.gate.holds[one.id].state, served.gate.holds[other.id].state) == (HoldState.REJECTED, HoldState.STOPPED)


async def test_send_back_resolve_and_roll_back(served: Served) -> None:
    """Each with what it needs; resolving and rolling back by the functions that may, and only from where it leads somewhere."""
    one, lost = served.gate.add(held(time.time_ns())), served.gate.add(held(time.time_ns(), state=HoldState.UNKNOWN))
    assert (await run(served, "holds", "send-back", one.id)).exit_code == 2
    assert (await run(served, "holds", "send-back", one.id, "--reason", "off_brand", "--note", "the second line")).exit_code == 0
    found = ("--result", "done", "--evidence", "seen in the CMS")
    assert (await run(served, "holds", "resolve", lost.id, "--result", "done", who="jonas")).exit_code == 2
    assert (await run(served, "holds", "resolve", lost.id, *found)).exit_code == 1
    assert (await run(served, "holds", "rollback", lost.id, "--reason", "too soon", who="jonas")).exit_code == 1
    assert (await run(served, "holds", "resolve", lost.id, *found, who="jonas")).exit_code == 0
    assert served.gate.holds[lost.id].state is HoldState.DONE
    assert (await run(served, "holds", "rollback", lost.id, "--reason", "set back to draft", who="jonas")).exit_code == 0
    assert (served.gate.holds[one.id].state, served.gate.holds[lost.id].state) == (HoldState.SENT_BACK, HoldState.ROLLED_BACK)


@pytest.mark.parametrize(
    ("words", "who", "url", "code", "said"),
    [
        (["holds", "list"], "swp_" + "A" * 43, None, 1, "credential"),
        (["holds", "show", "h_none"], "ines", None, 1, "no such hold"),
        (["holds", "show", "../../agents"], "ines", None, 1, ""),
        (["holds", "list"], "ines", "http://127.0.0.1:1", 3, "nobody answers"),
        (["holds", "list"], "ines", "http://approve.example", 2, "plain http"),
        (["holds", "list"], "ines", "ftp://127.0.0.1", 2, "not an http"),
        (["kill"], "ines", None, 2, "say what to stop"),
        (["kill", "everything"], "ines", None, 1, "scope"),
        (["holds", "list", "--token", "file:none"], "ines", None, 2, "no token"),
    ],
    ids=["token", "hold", "path", "down", "clear-text", "scheme", "no-scope", "scope", "token-file"],
)
async def test_exit_codes(served: Served, words: list[str], who: str, url: str | None, code: int, said: str) -> None:
    """1 refused, 2 usage, 3 not reachable; a token is never repeated and never sent in clear text to another machine."""
    result = await run(served, *words, who=who, url=url)
    assert (result.exit_code, said in result.output) == (code, True), result.output
    assert "swp_" not in result.output
    assert served.gate.engaged == []


def test_a_token_is_in_no_repr(tmp_path: Path) -> None:
    """Nor in a traceback that shows values."""
    (tmp_path / "token").touch(mode=0o600)
    (tmp_path / "token").write_text("swp_secret\n")
    assert "secret" not in repr(client("http://127.0.0.1:1", None, f"file:{tmp_path / 'token'}"))
