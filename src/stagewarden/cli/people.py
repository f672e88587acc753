"""`holds`: the people's API from a terminal.

What agents wrote is shown escaped. A vote names the digests that were just read; every question is answered by the person, never for them.
"""

from __future__ import annotations

import base64
import sys
from typing import TYPE_CHECKING

import click

from stagewarden.cli import people_print as show
from stagewarden.cli.audit import printable
from stagewarden.cli.examples import examples
from stagewarden.cli.exits import Finding
from stagewarden.cli.people_api import AGENT_KEY, FILE, agents_client, listed, paged, segment, with_client
from stagewarden.holds.ballot import REASONS
from stagewarden.web.people.narrowing import HOUR, TIERS

if TYPE_CHECKING:
    from pathlib import Path

    from stagewarden.cli.people_api import Client
    from stagewarden.model import Document


# -- holds --


@click.group()
def holds() -> None:
    """Requests that wait for people."""


@holds.command(
    "list", epilog=examples("holds list --config stagewarden.yaml --mine", "holds list --config stagewarden.yaml --state ended --limit 20 --json")
)
@click.option("--state", default="open", show_default=True, help="open, ended, or one state.")
@click.option("--mine", is_flag=True, help="Only those you can vote on.")
@click.option("--proposals", is_flag=True, help="Those nobody has taken up, instead of those people are asked about.")
@click.option("--tier", type=click.Choice(TIERS), help="Of one tier.")
@click.option("--workflow", help="Of one workflow.")
@click.option("--channel", help="For one channel: the destination by its registered name, else the upstream.")
@click.option("--why", metavar="CODE", help="Held for a reason of this code.")
@click.option("--due", type=click.Choice((HOUR,)), help="Only those that wait and are due within the hour.")
@click.option("--search", "q", metavar="TEXT", help="With this in the id, asset, agent or workflow.")
@paged
@with_client
def list_holds(  # noqa: PLR0913 - a command has its options
    api: Client, *, state: str, mine: bool, proposals: bool, as_json: bool, limit: int, everything: bool, **filters: str | None
) -> None:
    """List holds, newest first.

    The filters are the inbox's; several together leave what all of them leave.
    """
    given = {name: value for name, value in filters.items() if value is not None}
    query = {"state": state, "mine": "true" if mine else "false", "asked": "false" if proposals else "true", **given}
    found = listed(api, "/holds", query, limit=limit, everything=everything)
    names = ("id", "state", "tier", "kind", "agent", "expires_at")
    rows = [[*(show.text(hold, name) for name in names), show.seats(hold)] for hold in found]
    show.as_json_or_table(found, ("hold", "state", "tier", "what", "agent", "due", "seats"), rows, as_json=as_json)


@holds.command("show", epilog=examples("holds show h_ID --config stagewarden.yaml"))
@click.argument("hold")
@with_client
def show_hold(api: Client, *, hold: str, as_json: bool) -> None:
    """Show one hold with the exact request."""
    (show.write_json if as_json else show.write_hold)(api.ask("GET", f"/holds/{segment(hold)}"))


@holds.command(epilog=examples("holds approve h_ID --config stagewarden.yaml", "holds approve h_ID --config stagewarden.yaml --edit body.json"))
@click.argument("hold")
@click.option("--function", help="The seat's function; needed only where you could fill several.")
@click.option("--answer", "answers", multiple=True, metavar="QUESTION=yes|no", help="An answer; what is missing is asked.")
@click.option("--digest", help="What you reviewed: refused if the hold's digest is another.")
@click.option("--note", help="Kept with your vote.")
@click.option("--edit", type=FILE, metavar="FILE", help="The body to be sent instead; every seat is asked again, and none of them is yours.")
@with_client
def approve(  # noqa: PLR0913 - a command has its options
    api: Client, *, hold: str, function: str | None, answers: tuple[str, ...], digest: str | None, note: str | None, edit: Path | None, as_json: bool
) -> None:
    """Approve exactly these bytes, once."""
    found = _reviewed(api, hold, digest)
    if edit is not None:
        _vote(api, found, {"decision": "approve", "function": _function(found, function), "note": note, "edit": _body(edit)}, as_json=as_json)
        return
    given = _answers(found, answers)
    _vote(api, found, {"decision": "approve", "function": _function(found, function), "note": note, "answers": given}, as_json=as_json)


@holds.command(epilog=examples("holds reject h_ID --reason wrong_facts --config stagewarden.yaml"))
@click.argument("hold")
@click.option("--reason", required=True, type=click.Choice(REASONS), help="Why.")
@click.option("--function", help="The seat's function; needed only where you could fill several.")
@click.option("--digest", help="What you reviewed: refused if the hold's digest is another.")
@click.option("--note", help="Kept with your vote.")
@with_client
def reject(api: Client, *, hold: str, reason: str, function: str | None, digest: str | None, note: str | None, as_json: bool) -> None:  # noqa: PLR0913 - a command has its options
    """Reject: ends the hold for everybody."""
    found = _reviewed(api, hold, digest)
    _vote(api, found, {"decision": "reject", "function": _function(found, function), "reason": reason, "note": note}, as_json=as_json)


@holds.command("send-back", epilog=examples("holds send-back h_ID --reason off_brand --config stagewarden.yaml"))
@click.argument("hold")
@click.option("--reason", required=True, type=click.Choice(REASONS), help="Why; the agent is told.")
@click.option("--function", help="The seat's function; needed only where you could fill several.")
@click.option("--digest", help="What you reviewed: refused if the hold's digest is another.")
@click.option("--note", help="Kept with your vote; the agent does not see it.")
@with_client
def send_back(api: Client, *, hold: str, reason: str, function: str | None, digest: str | None, note: str | None, as_json: bool) -> None:  # noqa: PLR0913 - a command has its options
    """Send back to the agent, with the reason.

    Ends this hold, so that something better can be asked.
    """
    found = _reviewed(api, hold, digest)
    _vote(api, found, {"decision": "send_back", "function": _function(found, function), "reason": reason, "note": note}, as_json=as_json)


@holds.command(epilog=examples('holds resolve h_ID --result done --evidence "article 7 is live" --config stagewarden.yaml'))
@click.argument("hold")
@click.option("--result", required=True, type=click.Choice(("done", "failed")), help="What became of it at the upstream.")
@click.option("--evidence", required=True, help="Where you looked and what stood there; kept encrypted with the hold.")
@with_client
def resolve(api: Client, *, hold: str, result: str, evidence: str, as_json: bool) -> None:
    """Say what became of an unknown outcome.

    Takes technical or security. Nothing is sent again.
    """
    _told(api.ask("POST", f"/holds/{segment(hold)}/resolve", {"result": result, "evidence": evidence}), as_json=as_json)


@holds.command(epilog=examples('holds rollback h_ID --reason "set back to draft" --config stagewarden.yaml'))
@click.argument("hold")
@click.option("--reason", required=True, help="Why it was taken back, and how.")
@with_client
def rollback(api: Client, *, hold: str, reason: str, as_json: bool) -> None:
    """Record that what was done was taken back.

    At the upstream, by people: it sends nothing by itself.
    """
    _told(api.ask("POST", f"/holds/{segment(hold)}/rollback", {"reason": reason}), as_json=as_json)


@holds.command("take-up", epilog=examples("holds take-up h_ID --config stagewarden.yaml"))
@click.argument("hold")
@with_client
def take_up(api: Client, *, hold: str, as_json: bool) -> None:
    """Take up a proposal: its people are asked from now on."""
    _told(api.ask("POST", f"/holds/{segment(hold)}/take-up", {}), as_json=as_json)


@holds.command("stop", epilog=examples("holds stop h_ID --config stagewarden.yaml"))
@click.argument("hold")
@click.option("--reason", default="", help="Optional: stopping never waits for one.")
@with_client
def stop_hold(api: Client, *, hold: str, reason: str, as_json: bool) -> None:
    """Stop a hold: nothing of it is sent afterwards."""
    _told(api.ask("POST", f"/holds/{segment(hold)}/stop", {"reason": reason}), as_json=as_json)


@holds.command(epilog=examples("holds withdraw h_ID --key file:drafter.key --config stagewarden.yaml"))
@click.argument("hold")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.option("--key", "credential", default=AGENT_KEY, show_default=True, metavar="REF", help="Where the agent's key or token is.")
@click.option("--config", type=FILE, help="The configuration file that names the agents' listener.")
@click.option("--url", metavar="URL", help="The agents' listener, for example http://127.0.0.1:8080.")
def withdraw(hold: str, url: str | None, config: Path | None, credential: str, *, as_json: bool) -> None:
    """Take a request back, as the agent that asked.

    No person can; people reject or stop.
    """
    _told(agents_client(url, config, credential).ask("POST", f"/holds/{segment(hold)}/withdraw"), as_json=as_json)


# -- votes --


def _reviewed(api: Client, hold: str, digest: str | None) -> Document:
    found = api.ask("GET", f"/holds/{segment(hold)}")
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


def _body(edit: Path) -> Document:
    """A file as the API takes a body: as text where it is text."""
    data = edit.read_bytes()
    try:
        return {"body": data.decode("utf-8")}
    except UnicodeDecodeError:
        return {"body_base64": base64.b64encode(data).decode()}


def _vote(api: Client, hold: Document, vote: Document, *, as_json: bool) -> None:
    digests: Document = {"digest": hold.get("digest"), "view_digest": hold.get("view_digest")}
    _told(api.ask("POST", f"/holds/{segment(show.text(hold, 'id'))}/votes", {**vote, **digests}), as_json=as_json)


# -- answers --


def _told(hold: Document, *, as_json: bool) -> None:
    if as_json:
        show.write_json(hold)
    else:
        click.echo(printable(f"{show.text(hold, 'id')} is {show.text(hold, 'state')}; seats: {show.seats(hold)}"))
