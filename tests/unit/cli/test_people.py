"""`holds` against the people's listener, and how its commands end badly."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from stagewarden.cli import main
from stagewarden.cli.people_api import client, listed
from stagewarden.errors import Invalid
from stagewarden.holds.signals import Review
from stagewarden.model import HoldState, Tier
from stagewarden.modes import Kill
from stagewarden.store import Confirmation, Revision
from tests.fakes import FOUR, held
from tests.people_listener import people_listener
from tests.product import product

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


async def test_holds_are_listed_by_the_inboxs_filters(served: Served) -> None:
    """Each flag, and several together; a tier that is none is refused before anything is asked."""
    now = time.time_ns()
    low, high = served.gate.add(held(now, tier=Tier.LOW)), served.gate.add(held(now, tier=Tier.HIGH))
    code = low.reasons[0].code
    for flags, shown in (
        (("--tier", "high"), (False, True)),
        (("--workflow", low.workflow, "--why", code), (True, True)),
        (("--why", "another"), (False, False)),
        (("--channel", "another"), (False, False)),
        (("--search", low.id), (True, False)),
        (("--due", "hour", "--search", "nothing"), (False, False)),
    ):
        output = (await run(served, "holds", "list", *flags)).output
        assert (low.id in output, high.id in output) == shown, flags
    assert (await run(served, "holds", "list", "--tier", "huge")).exit_code == 2


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


async def test_pages(served: Served) -> None:
    """So many at most, and that there are more is said beside the table; `--all` follows every page."""
    ids = [served.gate.add(held(time.time_ns() + number)).id for number in range(5)]
    few = await run(served, "holds", "list", "--limit", "2", "--json")
    every = await run(served, "holds", "list", "--limit", "2", "--all", "--json")
    exact = await run(served, "holds", "list", "--limit", "5", "--json")
    assert ([one["id"] for one in json.loads(few.stdout)], "--all" in few.stderr) == (ids[:2], True)
    assert ([one["id"] for one in json.loads(every.stdout)], every.stderr) == (ids, "")
    assert ([one["id"] for one in json.loads(exact.stdout)], exact.stderr) == (ids, "")
    assert (await run(served, "holds", "list", "--limit", "0")).exit_code == 2
    assert len(json.loads((await run(served, "agents", "list", "--limit", "1", "--json")).stdout)) == 1


async def test_a_page_that_is_empty_is_not_the_end(served: Served) -> None:
    """With `--mine` a page may show nothing and have a next one (contract section 5): the first that shows something is shown."""
    served.gate.add(held(time.time_ns()))
    pages = iter([{"items": [], "next": "c"}, {"items": [{"id": "h_1"}], "next": "d"}])
    asked = []

    class Pages:
        def ask(self, _: str, __: str, *, query: dict[str, str]) -> dict[str, object]:
            asked.append(query.get("cursor"))
            return next(pages)

    assert (listed(Pages(), "/holds", {}, limit=1, everything=False), asked) == ([{"id": "h_1"}], [None, "c"])


async def test_stricter_modes(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """`revoke` asks where somebody can answer, and here nobody can; `recommend-only` asks for what it says."""
    assert (await run(served, "agents", "revoke", "drafter-7", "--reason", "gone")).exit_code == 0
    assert served.gate.modes["drafter-7"][0] == "revoked"
    asked = []

    async def refused(*words: object) -> None:
        asked.append(words[1:])
        raise Invalid("not now")

    monkeypatch.setattr(served.gate, "set_mode", refused)
    result = await run(served, "agents", "recommend-only", "helper-4", "--reason", "drill")
    assert (result.exit_code, "not now" in result.output, asked) == (1, True, [("helper-4", "recommend_only", "drill")])


async def test_withdraw_is_the_agents_own(tmp_path: Path) -> None:
    """With the agent's key and at the agents' listener: its hold is withdrawn; another agent's key withdraws nothing."""
    async with product(tmp_path) as running:
        running.newsroom.articles["9"] = {"id": "9", "status": "draft", "title": "t", "body": "", "offers": [], "claims": []}
        hold = (await running.ask("POST", "/newsroom/articles/9/publish")).json["hold"]["id"]
        host, port = running.sidecar.agents_address or ("", 0)

        async def withdraw(agent: str, *more: str) -> Result:
            runner = CliRunner(env={"STAGEWARDEN_AGENT_KEY": running.house.keys[agent]})
            return await asyncio.to_thread(runner.invoke, main, ["holds", "withdraw", hold, "--url", f"http://{host}:{port}", *more])

        refused = await withdraw("reader")
        assert (refused.exit_code, (await running.sidecar.rooms.holds.get(hold)).state) == (1, HoldState.PENDING)
        done = await withdraw("drafter", "--json")
        assert (done.exit_code, json.loads(done.stdout)["state"]) == (0, "withdrawn")
    assert CliRunner().invoke(main, ["holds", "withdraw", "h_1"]).exit_code == 2


@pytest.mark.parametrize("words", [("holds", "list"), ("agents", "list"), ("kill", "--list"), ("holds", "show", "{hold}")], ids=" ".join)
async def test_what_others_wrote_steers_no_terminal(served: Served, words: tuple[str, ...]) -> None:
    """Names, reasons, bodies: no escape, no bidi control reaches the terminal from any table or from JSON (CVE-2024-45808); nor a colour of ours."""
    evil = "\x1b]0;x\x07\u202e\x9b31m\r"
    hold = served.gate.add(held(time.time_ns(), {"title": evil}, kind=f"post{evil}", agent=evil))
    served.gate.engaged.append(Kill(id="k_1", scope="all", by=evil, at_ns=1, reason=evil))
    served.gate.modes["drafter-7"] = ("paused", evil, evil)
    for more in ((), ("--json",)):
        output = (await run(served, *(word.format(hold=hold.id) for word in words), *more)).output
        assert not [letter for letter in output if not letter.isprintable() and letter != "\n"], more
        assert "x1b" in output or "u001b" in output


async def test_reviews(served: Served) -> None:
    """One's own in numbers, a workflow's where there are enough, no name of anybody; and no text steers the terminal."""
    one = Review("mara", "newsletter", "medium", "approve", 1, 42 * 10**9 + 1, 500, in_view=True, after_hours=False)
    served.gate.reviews = [*[one] * 30, dataclasses.replace(one, person="aiko", workflow="\x1b[31mfew\u202e")]
    told = await run(served, "reviews", who="aiko")
    assert told.exit_code == 0
    assert re.search(r"you\W+1\W+1\W+42", told.output)
    assert re.search(r"newsletter\W+30\W+30\W+42", told.output)
    assert re.search(r"few.*too few", told.output)
    assert "mara" not in told.output
    assert not [letter for letter in told.output if not letter.isprintable() and letter != "\n"]
    told = await run(served, "reviews", "--json", who="aiko")
    assert [item["workflow"] for item in json.loads(told.output)["items"]] == ["\x1b[31mfew\u202e", "newsletter"]


@pytest.mark.parametrize(("plain", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)], ids=["as-usual", "no-color"])
def test_no_color(tmp_path: Path, plain: dict[str, str], coloured: bool) -> None:  # noqa: FBT001 - a column
    """`NO_COLOR` (no-color.org) takes every colour out, also where a terminal is there."""
    broken = tmp_path / "stagewarden.yaml"
    broken.write_text("version: 2\n")
    env = {**dict.fromkeys(("NO_COLOR", "TERM"), ""), "FORCE_COLOR": "1", "TERM": "xterm-256color", **plain}
    environment = {name: value for name, value in {**os.environ, **env}.items() if value}
    done = subprocess.run([sys.executable, "-m", "stagewarden", "check", "--config", str(broken)], env=environment, capture_output=True, check=False)
    assert (done.returncode, bool(re.search(rb"\x1b\[(?:\d+;)*3\d", done.stdout + done.stderr))) == (1, coloured)
