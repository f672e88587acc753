"""`grants` against the people's API of a running house, and what the terminal refuses before it asks anybody."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from stagewarden.cli import main
from tests.product import Product, product
from tests.scenarios.test_grants import GRANTED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from click.testing import Result

ISSUE = (
    "issue", "--agent", "enricher", "--workflow", "enrichment", "--stage", "edit", "--kind", "record.fill", "--upstream", "crm", "--field", "title",
    "--class", "contact", "--ttl", "1h", "--uses", "2", "--evidence", "CRM-1204",
)  # fmt: skip


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Product]:
    """The house of grants."""
    async with product(tmp_path / "house", source=GRANTED) as made:
        yield made


async def run(running: Product, who: str, *words: str) -> Result:
    """A command in a thread, with somebody's token."""
    assert running.sidecar.people_address is not None
    host, port = running.sidecar.people_address
    environment = {"STAGEWARDEN_TOKEN": running.house.tokens[who]}
    return await asyncio.to_thread(CliRunner(env=environment).invoke, main, ["grants", *words, "--url", f"http://{host}:{port}"])


async def test_from_asking_to_the_report(running: Product) -> None:
    """Issue, vote, use, show, end, and the list of what was wider than used."""
    asked = await run(running, "tomas", *ISSUE, "--json")
    grant = json.loads(asked.output)
    assert (asked.exit_code, grant["state"], grant["terms"]["fields"]) == (0, "requested", ["title"])
    assert "is requested; seats: business 1/1" in (await run(running, "bruno", "vote", grant["id"])).output
    two = await run(running, "lena", "vote", grant["id"], "--digest", grant["digest"])
    assert f"{grant['id']} is active" in two.output
    assert (await running.ask("PATCH", "/crm/articles/7", "enricher", json={"title": "x"})).status == 404, "allowed: there is no such record"
    shown = await run(running, "rita", "show", grant["id"])
    assert all(word in shown.output for word in ("record.fill", "approve bruno (business)", "used: sent"))
    assert "1+0/2" in (await run(running, "rita", "list", "--state", "open")).output
    assert f"{grant['id']} is revoked" in (await run(running, "ines", "revoke", grant["id"], "--reason", "one went astray")).output
    more = json.loads((await run(running, "tomas", *ISSUE, "--json")).output)["id"]
    few = await run(running, "rita", "list", "--limit", "1", "--json")
    assert ([one["id"] for one in json.loads(few.stdout)], "--all" in few.stderr) == ([more], True)
    assert [one["id"] for one in json.loads((await run(running, "rita", "list", "--limit", "1", "--all", "--json")).stdout)] == [more, grant["id"]]
    wider = await run(running, "rita", "list", "--wider", "--agent", "enricher", "--json")
    assert [(one["id"], one["used"]["wider"]) for one in json.loads(wider.output)] == [(grant["id"], ["uses"])]


async def test_refusals_are_told_and_change_nothing(running: Product, tmp_path: Path) -> None:
    """Exit 1 for a refusal, 2 for wrong usage; terms that were not reviewed are not voted on."""
    (tmp_path / "bounds.json").write_text("[{")
    assert (await run(running, "tomas", *ISSUE, "--bounds", str(tmp_path / "bounds.json"))).exit_code == 2
    (tmp_path / "bounds.json").write_text('[{"pointer": "/title", "enum": ["a", "b"]}]')
    bounded = json.loads((await run(running, "tomas", *ISSUE, "--bounds", str(tmp_path / "bounds.json"), "--json")).output)
    assert bounded["terms"]["bounds"] == [{"pointer": "/title", "enum": ["a", "b"]}]
    too_long = await run(running, "tomas", *ISSUE, "--ttl", "9h")
    assert (too_long.exit_code, "at most 8h" in too_long.output) == (1, True)
    other = await run(running, "bruno", "vote", bounded["id"], "--digest", "sha256:" + "0" * 64)
    assert (other.exit_code, "nothing was cast" in other.output) == (1, True)
    assert (await run(running, "tomas", "vote", bounded["id"])).exit_code == 1
    rejected = await run(running, "lena", "vote", bounded["id"], "--function", "security", "--reject", "not_needed")
    assert f"{bounded['id']} is rejected" in rejected.output
    ended = await run(running, "tomas", "complete", bounded["id"])
    assert (ended.exit_code, "completed is not possible" in ended.output) == (1, True)
