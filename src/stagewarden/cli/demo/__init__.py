"""`demo`: everything on loopback with no configuration: an example newsroom, a registered agent's run, the sidecar, the console."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import uvloop
from aiohttp import ClientSession, web
from rich.console import Console
from rich.table import Table

from stagewarden import config as configuration
from stagewarden.app import Sidecar, running
from stagewarden.audit.verify import verify
from stagewarden.cli.demo import house
from stagewarden.cli.demo.play import Agent, Reviewer
from stagewarden.cli.examples import examples
from stagewarden.cli.logs import configure_logs
from stagewarden.cli.newsroom import Newsroom
from stagewarden.clock import SystemClock
from stagewarden.model import HoldState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_ENDS_WITHIN = 30.0  # seconds for an approved hold to be sent
_PEOPLE = {"bob": "reviewer", "carol": "manager, reviewer", "dave": "legal, compliance"}
_LOOKS = {"done": "green", "held": "yellow", "refused": "red"}


@click.command(epilog=examples("demo", "demo --once"))
@click.option("--once", is_flag=True, help="Play it through over the API, check what arrived, and exit 0 or 1.")
def demo(*, once: bool) -> None:
    """Show the whole product on loopback.

    Nothing to configure, nothing to install.
    """
    configure_logs(quiet=True)
    console = Console()
    with tempfile.TemporaryDirectory(prefix="stagewarden-demo-") as folder:
        problems = uvloop.run(_demo(Path(folder) / "house", console, once=once))
        if once:
            report = verify(Path(folder) / "house" / "audit")
            if report.state == "broken":
                problems.append(f"the audit log does not verify: {report.how} at {report.at}")
            else:
                console.print(f"The audit log holds: {report.text}.")
            for problem in problems:
                console.print(f"[red]Failed:[/] {problem}")
            if problems:
                raise SystemExit(1)
            console.print("[green]Both publishes arrived, exactly once each, with the publisher's credential.[/]")


@dataclass(frozen=True, slots=True)
class _Stage:
    """What is running."""

    sidecar: Sidecar
    newsroom: Newsroom
    house: house.House
    session: ClientSession

    @property
    def agents(self) -> str:
        """The agent's base URL."""
        return f"{_url(self.sidecar.agents_address)}/newsroom"

    def reviewer(self, person: str) -> Reviewer:
        """A person at the API."""
        return Reviewer(self.session, _url(self.sidecar.people_address), person, self.house.password(person))


@asynccontextmanager
async def _set(folder: Path) -> AsyncIterator[_Stage]:
    written = await asyncio.to_thread(house.write, folder, SystemClock())
    newsroom = Newsroom(drafter=written.upstream_token("drafter"), publisher=written.upstream_token("publisher"))
    runner = web.AppRunner(newsroom.application(), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        written.place(_url(runner.addresses[0][:2]))
        async with running(configuration.load(written.config)) as sidecar, ClientSession() as session:
            yield _Stage(sidecar, newsroom, written, session)
    finally:
        await runner.cleanup()


async def _demo(folder: Path, console: Console, *, once: bool) -> list[str]:
    async with _set(folder) as stage:
        agent = Agent(stage.session, stage.agents, stage.house.key)
        await agent.run()
        _print_run(console, agent)
        if once:
            return await _play_through(stage, agent, console)
        _print_where(console, stage, folder)
        await _stay(stage, agent, console)
    return []


async def _play_through(stage: _Stage, agent: Agent, console: Console) -> list[str]:
    """One reviewer for the ordinary article, two different people for the price; then count what arrived."""
    problems: list[str] = []
    ordinary, priced = agent.holds
    votes = ((ordinary, "bob", "reviewer"), (priced, "carol", "manager"), (priced, "dave", "compliance"))
    before_last = ""
    for hold, person, function in votes:
        state = await stage.reviewer(person).approve(hold, function)
        console.print(f"{person} approves {hold} as {function}: {state}")
        before_last = state if (hold, person) == (priced, "carol") else before_last
    if before_last != "pending":
        problems.append(f"one vote of two left the priced article {before_last}, not pending")
    for hold in agent.holds:
        ended = await stage.sidecar.rooms.holds.outcome(hold, _ENDS_WITHIN)
        if ended.state is not HoldState.DONE:
            problems.append(f"{hold} ended as {ended.state}: {ended.ended_by}")
    published = [arrival.path for arrival in stage.newsroom.arrivals if arrival.path.endswith("/publish")]
    if sorted(published) != ["/articles/1/publish", "/articles/2/publish"]:
        problems.append(f"these publishes arrived: {published}")
    roles = {arrival.role for arrival in stage.newsroom.arrivals if arrival.path.endswith("/publish")}
    if roles != {"publisher"} or len(stage.newsroom.published) != len(agent.holds):
        problems.append(f"published as {sorted(roles)}: {stage.newsroom.published}")
    if any(arrival.method == "DELETE" for arrival in stage.newsroom.arrivals):
        problems.append("a delete arrived")
    return problems


async def _stay(stage: _Stage, agent: Agent, console: Console) -> None:
    """Until Ctrl-C: say what becomes of each hold."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with asyncio.TaskGroup() as group:
        watching = [group.create_task(_tell(stage, hold, console)) for hold in agent.holds]
        await stop.wait()
        for task in watching:
            task.cancel()


async def _tell(stage: _Stage, hold_id: str, console: Console) -> None:
    hold = await stage.sidecar.rooms.holds.outcome(hold_id, float(stage.sidecar.rooms.config.holds.decide_within))
    voters = ", ".join(f"{vote.person} as {vote.function}" for vote in hold.votes)
    answered = f"; the newsroom answered {hold.response.status}" if hold.response else ""
    console.print(f"{hold.id} is [bold]{hold.state}[/] ({voters or hold.ended_by}){answered}")


def _print_run(console: Console, agent: Agent) -> None:
    table = Table(title="What the drafting agent asked, and what it got", title_justify="left", show_lines=True)
    for name, wide in (("The agent wants to", False), ("Request", True), ("Answer", True), ("Why", False)):
        table.add_column(name, overflow="fold", no_wrap=wide)
    known: set[object] = set()
    for step in agent.steps:
        why = step.why
        if (hold := step.hold.get("id")) is not None:
            why = f"The same request: the same hold, {hold}" if hold in known else f"{why}\nWaits as {hold}"
            known.add(hold)
        table.add_row(step.wanted, step.request, f"[{_LOOKS[step.outcome]}]{step.status} {step.outcome}[/]", why)
    console.print(table)


def _print_where(console: Console, stage: _Stage, folder: Path) -> None:
    table = Table(title="Where to look", title_justify="left", show_header=False)
    people = "\n".join(f"{person}  {stage.house.password(person)}  ({who})" for person, who in _PEOPLE.items())
    operations = _url(stage.sidecar.operations_address)
    rows = {
        "Console": _url(stage.sidecar.people_address),
        "Sign in as": people,
        "Agent's base URL": stage.agents,
        "Agent's key": stage.house.key,
        "Metrics and health": f"{operations}/metrics  {operations}/readyz",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table)
    console.print(f"The audit log: stagewarden audit show --directory {folder / 'audit'}", soft_wrap=True)  # one line, to copy
    console.print("Approve a hold in the console and watch it being sent here. Ctrl-C ends the demo and deletes its folder.")


def _url(address: tuple[str, int] | None) -> str:
    assert address is not None
    return f"http://{address[0]}:{address[1]}"
