"""`holds`, `agents`, `kill`, `unkill`: the people's API from a terminal. `kill --config FILE` needs no running process.

What agents wrote is shown escaped. A vote names the digests that were just read; every question is answered by the person, never for them.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import sys
from typing import TYPE_CHECKING, TypeVar

import click

from stagewarden.cli import people_print as show
from stagewarden.cli.agent_key import key
from stagewarden.cli.audit import printable
from stagewarden.cli.exits import Finding
from stagewarden.cli.people_api import AGENT_KEY, agents_client, client, load
from stagewarden.cli.people_calls import FILE as _FILE
from stagewarden.cli.people_calls import listed as _all
from stagewarden.cli.people_calls import options as _options
from stagewarden.cli.people_calls import paged as _paged
from stagewarden.cli.people_calls import path as _path
from stagewarden.cli.people_calls import with_client as _with_client
from stagewarden.clock import SystemClock
from stagewarden.config import stops_path
from stagewarden.errors import StagewardenError
from stagewarden.holds.ballot import REASONS
from stagewarden.modes import Modes

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from stagewarden.cli.people_api import Client
    from stagewarden.model import Document

T = TypeVar("T")


# -- holds --


@click.group()
def holds() -> None:
    """Requests that wait for people."""


@holds.command("list")
@click.option("--state", default="open", show_default=True, help="open, ended, or one state.")
@click.option("--mine", is_flag=True, help="Only those you can vote on.")
@_paged
@_with_client
def list_holds(api: Client, *, state: str, mine: bool, as_json: bool, limit: int, everything: bool) -> None:
    """List holds, newest first."""
    found = _all(api, "/holds", {"state": state, "mine": "true" if mine else "false"}, limit=limit, everything=everything)
    names = ("id", "state", "tier", "kind", "agent", "expires_at")
    rows = [[*(show.text(hold, name) for name in names), show.seats(hold)] for hold in found]
    show.as_json_or_table(found, ("hold", "state", "tier", "what", "agent", "due", "seats"), rows, as_json=as_json)


@holds.command("show")
@click.argument("hold")
@_with_client
def show_hold(api: Client, *, hold: str, as_json: bool) -> None:
    """Show one hold with the exact request."""
    (show.write_json if as_json else show.write_hold)(api.ask("GET", f"/holds/{_path(hold)}"))


@holds.command()
@click.argument("hold")
@click.option("--function", help="The seat's function; needed only where you could fill several.")
@click.option("--answer", "answers", multiple=True, metavar="QUESTION=yes|no", help="An answer; what is missing is asked.")
@click.option("--digest", help="What you reviewed: refused if the hold's digest is another.")
@click.option("--note", help="Kept with your vote.")
@_with_client
def approve(api: Client, *, hold: str, function: str | None, answers: tuple[str, ...], digest: str | None, note: str | None, as_json: bool) -> None:  # noqa: PLR0913 - a command has its options
    """Approve exactly these bytes, once."""
    found = _reviewed(api, hold, digest)
    given = _answers(found, answers)
    _vote(api, found, {"decision": "approve", "function": _function(found, function), "note": note, "answers": given}, as_json=as_json)


@holds.command()
@click.argument("hold")
@click.option("--reason", required=True, type=click.Choice(REASONS), help="Why.")
@click.option("--function", help="The seat's function; needed only where you could fill several.")
@click.option("--digest", help="What you reviewed: refused if the hold's digest is another.")
@click.option("--note", help="Kept with your vote.")
@_with_client
def reject(api: Client, *, hold: str, reason: str, function: str | None, digest: str | None, note: str | None, as_json: bool) -> None:  # noqa: PLR0913 - a command has its options
    """Reject: ends the hold for everybody."""
    found = _reviewed(api, hold, digest)
    _vote(api, found, {"decision": "reject", "function": _function(found, function), "reason": reason, "note": note}, as_json=as_json)


@holds.command("stop")
@click.argument("hold")
@click.option("--reason", default="", help="Optional: stopping never waits for one.")
@_with_client
def stop_hold(api: Client, *, hold: str, reason: str, as_json: bool) -> None:
    """Stop a hold: nothing of it is sent afterwards."""
    _told(api.ask("POST", f"/holds/{_path(hold)}/stop", {"reason": reason}), as_json=as_json)


@holds.command()
@click.argument("hold")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.option("--key", "credential", default=AGENT_KEY, show_default=True, metavar="REF", help="Where the agent's key or token is.")
@click.option("--config", type=_FILE, help="The configuration file that names the agents' listener.")
@click.option("--url", help="The agents' listener, for example http://127.0.0.1:8080.")
def withdraw(hold: str, url: str | None, config: Path | None, credential: str, *, as_json: bool) -> None:
    """Take an agent's own request back, as that agent: no person can."""
    _told(agents_client(url, config, credential).ask("POST", f"/holds/{_path(hold)}/withdraw"), as_json=as_json)


# -- agents --


@click.group()
def agents() -> None:
    """Registered agents and their modes."""


agents.add_command(key)


@agents.command("list")
@_paged
@_with_client
def list_agents(api: Client, *, as_json: bool, limit: int, everything: bool) -> None:
    """List agents with the mode in force."""
    found = _all(api, "/agents", {}, limit=limit, everything=everything)
    rows = [
        (show.text(one, "id"), show.text(show.members(one, "mode"), "mode"), show.text(show.members(one, "mode"), "by"),
         show.joined(one.get("stages")), show.joined(one.get("workflows")), show.text(show.members(one, "owners"), "human"))
        for one in found
    ]  # fmt: skip
    show.as_json_or_table(found, ("agent", "mode", "set by", "stages", "workflows", "owner"), rows, as_json=as_json)


@agents.command()
@click.argument("agent")
@click.option("--reason", default="", help="Optional: stopping never waits for one.")
@_with_client
def pause(api: Client, *, agent: str, reason: str, as_json: bool) -> None:
    """Pause an agent: every request of it is refused."""
    _moded(api.ask("PUT", f"/agents/{_path(agent)}/mode", {"mode": "paused", "reason": reason}), as_json=as_json)


@agents.command("recommend-only")
@click.argument("agent")
@click.option("--reason", default="", help="Optional where it makes things stricter.")
@_with_client
def recommend_only(api: Client, *, agent: str, reason: str, as_json: bool) -> None:
    """Let an agent propose and do nothing: its writes wait until somebody takes them up."""
    _moded(api.ask("PUT", f"/agents/{_path(agent)}/mode", {"mode": "recommend_only", "reason": reason}), as_json=as_json)


@agents.command()
@click.argument("agent")
@click.option("--reason", default="", help="Optional: stopping never waits for one.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_with_client
def revoke(api: Client, *, agent: str, reason: str, yes: bool, as_json: bool) -> None:
    """Revoke an agent's identity for good: nobody lifts it."""
    if not yes and sys.stdin.isatty():
        click.confirm(f"{printable(agent)} is never let in again under this identity. Revoke it?", abort=True)
    _moded(api.ask("PUT", f"/agents/{_path(agent)}/mode", {"mode": "revoked", "reason": reason}), as_json=as_json)


@agents.command()
@click.argument("agent")
@click.option("--reason", required=True, help="Why it may go on.")
@_with_client
def resume(api: Client, *, agent: str, reason: str, as_json: bool) -> None:
    """Let a paused agent go on; takes security or technical."""
    _moded(api.ask("PUT", f"/agents/{_path(agent)}/mode", {"mode": "active", "reason": reason}), as_json=as_json)


# -- the stop --


@click.command()
@click.argument("scope", required=False)
@click.option("--reason", default="", help="Optional: stopping never waits for one.")
@click.option("--list", "listing", is_flag=True, help="Show what is stopped.")
@_options
def kill(scope: str | None, reason: str, url: str | None, config: Path | None, token: str, *, listing: bool, as_json: bool) -> None:  # noqa: PLR0913 - a command has its options
    """Stop SCOPE: all, agent:ID, workflow:ID, upstream:ID or stage:NAME.

    With --config the stop is written where every sidecar of this state looks at each request; no process needs to run.
    """
    if listing == (scope is not None):
        raise click.UsageError("say what to stop, or --list")
    if url is None and config is not None:
        modes = _modes(config)
        engaged = _guarded(modes.kills) if scope is None else (_run(modes.kill(scope, _terminal(), reason)),)
        found: list[Document] = [{"id": one.id, "scope": one.scope, "by": one.by, "reason": one.reason} for one in engaged]
    else:
        api = client(url, config, token)
        found = [api.ask("PUT", "/kill", {"scope": scope, "reason": reason})] if scope is not None else _all(api, "/kill", {})
    columns = ("id", "scope", "by", "reason")
    show.as_json_or_table(found, columns, [[show.text(one, name) for name in columns] for one in found], as_json=as_json)


@click.command()
@click.argument("kill_id", metavar="ID")
@click.option("--reason", required=True, help="Why it may go on.")
@_options
def unkill(kill_id: str, reason: str, url: str | None, config: Path | None, token: str, *, as_json: bool) -> None:
    """Lift the stop with this id; over the API it takes security or technical."""
    if url is None and config is not None:
        _run(_modes(config).unkill(kill_id, _terminal(), reason))
    else:
        client(url, config, token).ask("DELETE", "/kill", {"id": kill_id, "reason": reason})
    if as_json:
        show.write_json({"id": kill_id, "lifted": True})
    else:
        click.echo(f"{printable(kill_id)} is lifted")


def _modes(config: Path) -> Modes:
    modes = Modes(stops_path(load(config)), SystemClock())
    _guarded(modes.open)
    return modes


def _guarded(act: Callable[[], T]) -> T:
    try:
        return act()
    except StagewardenError as failure:
        raise Finding(printable(str(failure))) from failure


def _run(act: Coroutine[object, object, T]) -> T:
    return _guarded(lambda: asyncio.run(act))


def _terminal() -> str:
    """Who sits at this terminal, as the system knows it; a container's user often has no name, and must be able to stop all the same."""
    try:
        return f"terminal:{pwd.getpwuid(os.getuid()).pw_name}"
    except KeyError:
        return f"terminal:uid {os.getuid()}"


# -- votes --


def _reviewed(api: Client, hold: str, digest: str | None) -> Document:
    found = api.ask("GET", f"/holds/{_path(hold)}")
    if digest is not None and digest != found.get("digest"):
        raise Finding("the hold's digest is another than the one you reviewed; nothing was cast")
    return found


def _function(hold: Document, function: str | None) -> str:
    """The function to vote in: the one given, or the only one there is."""
    mine = show.members(hold, "you").get("functions")
    choices = [str(one) for one in mine] if isinstance(mine, list) else []
    if function is None and len(choices) > 1:
        raise click.UsageError(f"--function: one of {', '.join(choices)}")
    return function or next(iter(choices), "")


def _answers(hold: Document, given: tuple[str, ...]) -> Document:
    """Each question answered by the person: from the options, else asked; never assumed."""
    answers: Document = {}
    for one in given:
        name, _, value = one.partition("=")
        if value not in {"yes", "no"}:
            raise click.UsageError(f"--answer {printable(one)}: expected QUESTION=yes or QUESTION=no")
        answers[name] = value == "yes"
    questions = hold.get("questions")
    missing = [str(name) for name in questions if str(name) not in answers] if isinstance(questions, list) else []
    if missing and not sys.stdin.isatty():
        raise click.UsageError(f"--answer: {', '.join(missing)} not answered")
    for name in missing:
        answers[name] = click.confirm(f"{printable(name)}: in order?", default=None)
    return answers


def _vote(api: Client, hold: Document, vote: Document, *, as_json: bool) -> None:
    digests: Document = {"digest": hold.get("digest"), "view_digest": hold.get("view_digest")}
    _told(api.ask("POST", f"/holds/{_path(show.text(hold, 'id'))}/votes", {**vote, **digests}), as_json=as_json)


# -- answers --


def _told(hold: Document, *, as_json: bool) -> None:
    if as_json:
        show.write_json(hold)
    else:
        click.echo(printable(f"{show.text(hold, 'id')} is {show.text(hold, 'state')}; seats: {show.seats(hold)}"))


def _moded(agent: Document, *, as_json: bool) -> None:
    if as_json:
        show.write_json(agent)
    else:
        click.echo(printable(f"{show.text(agent, 'id')} is {show.text(show.members(agent, 'mode'), 'mode')}"))
