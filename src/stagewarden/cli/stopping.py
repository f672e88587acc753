"""`agents`, `kill`, `unkill`: modes and stops from a terminal. `kill --config FILE` needs no running process, no policy, no database.

Over the API the people's plane decides who may. With a file, whoever may write it may stop; what it could not reach is said, never hidden.
"""

from __future__ import annotations

import asyncio
import os
import pwd
from typing import TYPE_CHECKING, TypeVar

import click

from stagewarden.cli import people_print as show
from stagewarden.cli.agent_key import key
from stagewarden.cli.audit import printable
from stagewarden.cli.examples import examples
from stagewarden.cli.exits import Finding
from stagewarden.cli.local_stops import LocalStops
from stagewarden.cli.people_api import client, every, listed, load, options, paged, segment, with_client
from stagewarden.errors import Invalid, StagewardenError
from stagewarden.modes import parse_scope

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from stagewarden.cli.people_api import Client
    from stagewarden.model import Document

T = TypeVar("T")
_OPTIONAL = "Optional: stopping never waits for one."


@click.group()
def agents() -> None:
    """Registered agents and their modes."""


agents.add_command(key)


@agents.command("list", epilog=examples("agents list --config stagewarden.yaml"))
@paged
@with_client
def list_agents(api: Client, *, as_json: bool, limit: int, everything: bool) -> None:
    """List agents with the mode in force."""
    found = listed(api, "/agents", {}, limit=limit, everything=everything)
    rows = []
    for one in found:
        mode = show.members(one, "mode")
        rows.append(
            (show.text(one, "id"), show.text(mode, "mode"), show.text(mode, "by"), show.text(mode, "observed_until"),
             show.joined(one.get("stages")), show.joined(one.get("workflows")), show.text(show.members(one, "owners"), "human"))
        )  # fmt: skip
    show.as_json_or_table(found, ("agent", "mode", "set by", "observed until", "stages", "workflows", "owner"), rows, as_json=as_json)


@agents.command("recommend-only", epilog=examples("agents recommend-only drafter --config stagewarden.yaml"))
@click.argument("agent")
@click.option("--reason", default="", help="Needed where this loosens: from paused.")
@with_client
def recommend_only(api: Client, *, agent: str, reason: str, as_json: bool) -> None:
    """Let an agent read and propose only.

    Each of its writes waits for people.
    """
    _mode(api, agent, "recommend_only", reason, as_json=as_json)


@agents.command(epilog=examples("agents pause drafter --config stagewarden.yaml"))
@click.argument("agent")
@click.option("--reason", default="", help=_OPTIONAL)
@with_client
def pause(api: Client, *, agent: str, reason: str, as_json: bool) -> None:
    """Pause an agent: every request of it is refused."""
    _mode(api, agent, "paused", reason, as_json=as_json)


@agents.command(epilog=examples("agents revoke drafter --config stagewarden.yaml"))
@click.argument("agent")
@click.option("--reason", default="", help=_OPTIONAL)
@with_client
def revoke(api: Client, *, agent: str, reason: str, as_json: bool) -> None:
    """Revoke an agent for good.

    This identity never acts again.
    """
    _mode(api, agent, "revoked", reason, as_json=as_json)


@agents.command(epilog=examples('agents resume drafter --reason "prompt corrected" --config stagewarden.yaml'))
@click.argument("agent")
@click.option("--reason", required=True, help="Why it may go on.")
@with_client
def resume(api: Client, *, agent: str, reason: str, as_json: bool) -> None:
    """Let an agent go on; takes security or technical."""
    _mode(api, agent, "active", reason, as_json=as_json)


def _mode(api: Client, agent: str, mode: str, reason: str, *, as_json: bool) -> None:
    given = api.ask("PUT", f"/agents/{segment(agent)}/mode", {"mode": mode, "reason": reason})
    if as_json:
        show.write_json(given)
    else:
        click.echo(printable(f"{show.text(given, 'id')} is {show.text(show.members(given, 'mode'), 'mode')}"))
    _say_owed(given)


@click.command(
    epilog=examples(
        'kill all --config stagewarden.yaml --reason "wrong prices go out"',
        "kill agent:drafter --url https://approve.example",
        "kill --list --config stagewarden.yaml",
    )
)
@click.argument("scope", required=False)
@click.option("--reason", default="", help=_OPTIONAL)
@click.option("--list", "listing", is_flag=True, help="Show what is stopped.")
@click.option("--force", is_flag=True, help="With --config: also a name that registry and configuration do not know.")
@options
def kill(scope: str | None, reason: str, url: str | None, config: Path | None, token: str, **flags: bool) -> None:
    """Stop everything, or what SCOPE names.

    SCOPE is all, agent:ID, workflow:ID, upstream:ID or stage:NAME.

    With --config the stop is written where every sidecar of this state looks at each request; no process needs to run.
    """
    if flags["listing"] == (scope is not None):
        raise click.UsageError("say what to stop, or --list")
    if url is None and config is not None:
        found = _stop_here(config, scope, reason, force=flags["force"])
    else:
        api = client(url, config, token)
        found = [api.ask("PUT", "/kill", {"scope": scope, "reason": reason})] if scope is not None else every(api, "/kill", {})
    columns = ("id", "scope", "by", "reason")
    show.as_json_or_table(found, columns, [[show.text(one, name) for name in columns] for one in found], as_json=flags["as_json"])
    for one in found:
        _say_owed(one)


@click.command(epilog=examples('unkill k_ID --reason "prices corrected" --config stagewarden.yaml'))
@click.argument("kill_id", metavar="ID")
@click.option("--reason", required=True, help="Why it may go on.")
@options
def unkill(kill_id: str, reason: str, url: str | None, config: Path | None, token: str, *, as_json: bool) -> None:
    """Lift the stop with this id.

    `kill --list` shows the ids. Over the API it takes security or technical.
    """
    if url is None and config is not None:
        _run(LocalStops(load(config)).lift(kill_id, _terminal(), reason))
    else:
        client(url, config, token).ask("DELETE", "/kill", {"id": kill_id, "reason": reason})
    if as_json:
        show.write_json({"id": kill_id, "lifted": True})
    else:
        click.echo(f"{printable(kill_id)} is lifted")


def _stop_here(config: Path, scope: str | None, reason: str, *, force: bool) -> list[Document]:
    """In the files of this state; a scope that means nothing is usage, a name nobody knows is refused."""
    here = LocalStops(load(config))
    if scope is None:
        return [{"id": one.id, "scope": one.scope, "by": one.by, "reason": one.reason} for one in _run(here.list())]
    try:
        parse_scope(scope)
    except Invalid as failure:
        raise click.UsageError(str(failure)) from failure
    if not force and (unknown := here.unknown(scope)) is not None:
        raise Finding(printable(f"{unknown}; nothing was stopped (--force stops it all the same)"))
    if here.unread:
        click.echo("the registry does not read: the name is not checked", err=True)
    engaged = _run(here.kill(scope, _terminal(), reason))
    made = engaged.kill
    return [{"id": made.id, "scope": made.scope, "by": made.by, "reason": made.reason, "owed": [*engaged.owed]}]


def _say_owed(document: Document) -> None:
    """What could not be done yet, where it does not get into a machine's way."""
    owed = document.get("owed")
    for each in owed if isinstance(owed, list) else ():
        click.echo(printable(f"in force; owed: {each}"), err=True)


def _run(act: Coroutine[object, object, T]) -> T:
    try:
        return asyncio.run(act)
    except StagewardenError as failure:
        raise Finding(printable(str(failure))) from failure


def _terminal() -> str:
    """Who sits at this terminal, as the system knows it; a container's user often has no name, and must be able to stop all the same."""
    try:
        return f"terminal:{pwd.getpwuid(os.getuid()).pw_name}"
    except KeyError:
        return f"terminal:uid {os.getuid()}"
