"""`grants`: permissions in advance, from a terminal. A vote names the digest of the terms that were just read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from stagewarden.cli import people_print as show
from stagewarden.cli.audit import printable
from stagewarden.cli.examples import examples
from stagewarden.cli.exits import Finding
from stagewarden.cli.people_api import listed, paged, segment, with_client
from stagewarden.holds.ballot import REASONS
from stagewarden.model import Stage

if TYPE_CHECKING:
    from stagewarden.cli.people_api import Client
    from stagewarden.model import Document

_FACTS = (
    "id", "state", "tier", "digest", "requested_by", "asked_at", "decide_by", "approved_at", "expires_at", "review_by", "ended_at", "ended_by",
    "ended_why",
)  # fmt: skip


@click.group()
def grants() -> None:
    """Permissions that people give an agent in advance."""


@grants.command("list", epilog=examples("grants list --config stagewarden.yaml --state open", "grants list --config stagewarden.yaml --wider"))
@click.option("--state", help="open, ended, or one state.")
@click.option("--agent", help="Only this agent's.")
@click.option("--wider", is_flag=True, help="Only those that ended and were wider than what was used.")
@paged
@with_client
def list_grants(api: Client, *, state: str | None, agent: str | None, wider: bool, as_json: bool, limit: int, everything: bool) -> None:  # noqa: PLR0913 - a command has its options
    """List grants, newest first."""
    query = {name: value for name, value in (("state", state), ("agent", agent), ("wider", "true" if wider else None)) if value is not None}
    found = listed(api, "/grants", query, limit=limit, everything=everything)
    rows = []
    for one in found:
        terms, used = show.members(one, "terms"), show.members(one, "used")
        times = f"{show.text(used, 'sent')}+{show.text(used, 'reserved')}/{show.text(terms, 'uses')}"
        said = [show.text(terms, name) for name in ("agent", "stage", "kind")]
        rows.append([show.text(one, "id"), show.text(one, "state"), *said, times, show.text(one, "expires_at"), show.joined(used.get("wider"))])
    show.as_json_or_table(found, ("grant", "state", "agent", "stage", "what", "used", "until", "wider than used"), rows, as_json=as_json)


@grants.command("show", epilog=examples("grants show g_ID --config stagewarden.yaml"))
@click.argument("grant")
@with_client
def show_grant(api: Client, *, grant: str, as_json: bool) -> None:
    """Show one grant.

    What it permits, who said so, and what was used of it.
    """
    found = api.ask("GET", f"/grants/{segment(grant)}")
    if as_json:
        show.write_json(found)
        return
    terms, used = show.members(found, "terms"), show.members(found, "used")
    rows = [(name.replace("_", " "), show.text(found, name)) for name in _FACTS]
    rows += [(name.replace("_", " "), json.dumps(value, ensure_ascii=True)) for name, value in terms.items() if value not in (None, [], "")]
    rows += [("seats", show.seats(found))]
    rows += [
        ("vote", f"{show.text(vote, 'decision')} {show.text(vote, 'person')} ({show.text(vote, 'function')})") for vote in show.items(found, "votes")
    ]
    rows += [(f"used: {name.replace('_', ' ')}", json.dumps(value, ensure_ascii=True)) for name, value in used.items()]
    show.write_table(("", ""), rows)


@grants.command(
    epilog=examples(
        "grants issue --config stagewarden.yaml --agent enricher \\\n"
        "    --workflow enrichment --stage edit --kind record.fill --upstream crm \\\n"
        "    --field title --class contact --ttl 2h --uses 200 --evidence CRM-1204"
    )
)
@click.option("--agent", required=True, help="The agent it is for.")
@click.option("--workflow", required=True, help="In which of its workflows.")
@click.option("--stage", required=True, type=click.Choice([*map(str, Stage)]), help="The stage.")
@click.option("--kind", required=True, help="The kind of action.")
@click.option("--upstream", required=True, help="The upstream.")
@click.option("--ttl", required=True, help="How long from the last vote, for example 2h.")
@click.option("--evidence", required=True, help="On what it is asked: a ticket, a plan.")
@click.option("--uses", default=1, show_default=True, help="How often.")
@click.option("--asset", help="Only this asset.")
@click.option("--field", "fields", multiple=True, help="A field it may write; several times.")
@click.option("--class", "classes", multiple=True, help="A data class it may touch; several times.")
@click.option("--digest", help="Only exactly this request: sha256:…")
@click.option("--content", help="The look-up's digest, where what leaves lies at the upstream: sha256:…")
@click.option("--bounds", type=click.File("r"), help="JSON list of bounds; with --template each request inside them is approved in advance.")
@click.option("--template", is_flag=True, help="A bounded template: each request inside the bounds is held, approved and sent once.")
@click.option("--review-within", help="It lapses after this time, for example 1h.")
@click.option("--completes-on", help="The first success of this kind ends it.")
@with_client
def issue(api: Client, *, as_json: bool, **asked: object) -> None:
    """Ask for a grant; it stands once its seats are filled."""
    source = asked.pop("bounds")
    if source is not None:
        try:
            asked["bounds"] = json.load(source)  # type: ignore[arg-type]  # click opened it
        except ValueError as error:
            raise click.UsageError(f"--bounds: {printable(str(error))}") from None
    body: Document = {name: list(value) if isinstance(value, tuple) else value for name, value in asked.items() if value is not None}  # type: ignore[misc]
    _told(api.ask("POST", "/grants", body), as_json=as_json)


@grants.command(epilog=examples("grants vote g_ID --config stagewarden.yaml", "grants vote g_ID --reject not_needed --config stagewarden.yaml"))
@click.argument("grant")
@click.option("--function", help="The seat's function; needed only where you could fill several.")
@click.option("--reject", type=click.Choice(REASONS), help="Reject, and why; without it you approve.")
@click.option("--digest", help="The terms you reviewed: refused if the grant's are others.")
@with_client
def vote(api: Client, *, grant: str, function: str | None, reject: str | None, digest: str | None, as_json: bool) -> None:
    """Vote on exactly these terms."""
    found = api.ask("GET", f"/grants/{segment(grant)}")
    if digest is not None and digest != found.get("digest"):
        raise Finding("the grant's terms are others than the ones you reviewed; nothing was cast")
    mine = show.members(found, "you").get("functions")
    choices = [str(one) for one in mine] if isinstance(mine, list) else []
    if function is None and len(choices) > 1:
        raise click.UsageError(f"--function: one of {', '.join(choices)}")
    ballot: Document = {"decision": "reject" if reject else "approve", "function": function or next(iter(choices), ""), "digest": found.get("digest")}
    _told(api.ask("POST", f"/grants/{segment(grant)}/votes", {**ballot, "reason": reject}), as_json=as_json)


@grants.command(epilog=examples('grants revoke g_ID --reason "one lead went astray" --config stagewarden.yaml'))
@click.argument("grant")
@click.option("--reason", default="", help="Optional: ending never waits for one.")
@with_client
def revoke(api: Client, *, grant: str, reason: str, as_json: bool) -> None:
    """End a grant: the next request has nothing of it."""
    _told(api.ask("DELETE", f"/grants/{segment(grant)}", {"reason": reason}), as_json=as_json)


@grants.command(epilog=examples("grants complete g_ID --config stagewarden.yaml"))
@click.argument("grant")
@click.option("--reason", default="", help="Optional.")
@with_client
def complete(api: Client, *, grant: str, reason: str, as_json: bool) -> None:
    """Say that the task is done: ends the grant."""
    _told(api.ask("POST", f"/grants/{segment(grant)}/complete", {"reason": reason}), as_json=as_json)


def _told(grant: Document, *, as_json: bool) -> None:
    if as_json:
        show.write_json(grant)
    else:
        click.echo(printable(f"{show.text(grant, 'id')} is {show.text(grant, 'state')}; seats: {show.seats(grant)}"))
