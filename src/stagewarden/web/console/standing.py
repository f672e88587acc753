"""An agent or a workflow as their pages show them: mode and its past in words, what is counted, how far they reach, who answers. Pure.

What the product does not measure is left out here and named so on the page; nothing is made up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stagewarden.model import Stage
from stagewarden.modes import MODES, RANK
from stagewarden.web.console import spark, when, words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stagewarden.gate.overview import AgentPicture, Past, Traffic, WorkflowPicture
    from stagewarden.gate.reach import Reach, Way
    from stagewarden.model import Document, Hold
    from stagewarden.modes import Kill
    from stagewarden.registry import Owners, Rollback, TierRule
    from stagewarden.web.console.spark import Spark

MODE_WORDS = {"active": "active", "recommend_only": "only recommends", "paused": "paused", "revoked": "revoked"}
_TIGHTER = (
    ("paused", "Pause now", "Every request of it is refused, and what was approved does not go out."),
    ("recommend_only", "Only recommend", "It goes on reading; each of its writes waits for people."),
)
_LOOSER = (("active", "Resume"), ("recommend_only", "Only recommend"))
_RISKS = (
    ("data_sensitivity", "Data"), ("external_impact", "Impact outside"), ("regulatory_exposure", "Regulation"),
    ("rollback_difficulty", "Way back"), ("approval_level", "Least tier outside"),
)  # fmt: skip
_GRADES = {"may": "may", "held": "held for people", "never": "never"}
_EFFECTS = {"allow": ("Allowed", "green"), "hold": ("Held", "amber"), "deny": ("Denied", "red")}
_PAST_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: now, its limit (None: it has none), the last days, over what it is counted."""

    what: str
    now: int
    limit: int | None
    line: Spark | None
    over: str

    @property
    def close(self) -> bool:
        """Whether it is looked at: from three quarters of the limit."""
        return self.limit is not None and self.now >= self.limit * 3 / 4


def past(each: Past, now_ns: int) -> dict[str, object]:
    """One act in words: what it did, who, when, why, and what follows."""
    what = {"kill": "stopped", "unkill": "stop lifted"}.get(each.act) or MODE_WORDS.get(each.mode, each.mode)
    until = when.moment(each.observed_until_ns, now_ns) if each.observed_until_ns else None
    return {
        "what": what, "by": each.by, "reason": each.reason, "at": when.moment(each.at_ns, now_ns), "security": each.security,
        "relapse": each.relapse, "until": until,
    }  # fmt: skip


def agent(picture: AgentPicture, now_ns: int) -> dict[str, object]:
    """What the agent's page shows of registry, route table and stop file."""
    view, entry = picture.view, picture.view.agent
    told = [past(each, now_ns) for each in picture.past]
    return {
        "id": view.id, "mode": view.mode, "modes": [(mode, MODE_WORDS[mode]) for mode in MODES],
        "summary": " ".join(workflow.summary for workflow in picture.workflows.values()),
        "by": view.mode_by, "reason": view.mode_reason, "at": when.moment(view.mode_at_ns, now_ns), "security": view.mode_security,
        "registry": entry.mode if RANK[entry.mode] else None,
        "observed": when.moment(view.observed_until_ns, now_ns) if view.observed_until_ns > now_ns else None,
        "past": told[:_PAST_SHOWN], "tighter": [each for each in _TIGHTER if RANK[each[0]] > RANK[view.mode]],
        "looser": _looser(picture), "why_not": picture.why_not_loosen, "lifters": picture.lifters,
        "owners": _owners((("human", entry.owners.human), ("account", entry.owners.service_account), ("business", entry.owners.business),
                           ("technical", entry.owners.technical)), [one.owners for one in picture.workflows.values()]),
        "reach": [_reached(one) for one in picture.reach], "stages": [stage.capitalize() for stage in Stage],
        "ways_back": [_way_back(name, one.rollback, now_ns) for name, one in picture.workflows.items()],
        "workflows": [(name, one.risk.approval_level) for name, one in picture.workflows.items()],
        "unknown": [name for name in entry.workflows if name not in picture.workflows], "kills": kills(picture.kills, now_ns),
    }  # fmt: skip


def workflow(picture: WorkflowPicture, now_ns: int) -> dict[str, object]:
    """What the workflow's page shows of registry and route table."""
    entry, actions = picture.workflow, picture.workflow.actions
    classes = (("allowed", actions.allowed), ("held for people", actions.restricted), ("never", actions.prohibited))
    scope = entry.scope
    return {
        "id": picture.id, "summary": entry.summary, "purpose": entry.purpose, "process": entry.process,
        "process_summary": picture.process.summary if picture.process else None,
        "control_owner": picture.process.control_owner if picture.process else None,
        "review_cycle": picture.process.review_cycle if picture.process else None,
        "owners": _owners((), [entry.owners]), "initiators": entry.initiators, "delegation": entry.delegation.replace("_", " "),
        "automation": entry.automation.replace("_", " "),
        "risk": [(label, str(getattr(entry.risk, name))) for name, label in _RISKS],
        "agents": [(one.id, one.mode, one.agent.stages) for one in picture.agents],
        "kinds": [_kind(kind, label, picture.ways[kind]) for label, kinds in classes for kind in kinds],
        "tiers": [(str(tier), _seats(rule)) for tier, rule in picture.tiers.items()], "kills": kills(picture.kills, now_ns),
        "reads": ", ".join((*scope.fields.read, *scope.classes.read)), "writes": ", ".join((*scope.fields.write, *scope.classes.write)),
        "ways_back": [_way_back(picture.id, entry.rollback, now_ns)],
        "approved": [(one.function, one.person, one.at, one.evidence) for one in entry.approved],
    }  # fmt: skip


def kills(stood: Iterable[Kill], now_ns: int) -> list[dict[str, object]]:
    """Stops that cover it."""
    return [{"id": kill.id, "scope": kill.scope, "by": kill.by, "at": when.moment(kill.at_ns, now_ns), "reason": kill.reason} for kill in stood]


def figures(traffic: Traffic) -> list[Row]:
    """What is counted today, beside what is allowed."""
    days, over = traffic.days, "today (UTC)"
    return [
        Row("Open holds", traffic.open, traffic.limit, None, "now"),
        Row("Holds asked", days.asked[-1], None, spark.spark(days.asked), over),
        Row("Rejected or sent back", days.rejected[-1], None, spark.spark(days.rejected), over),
        Row("Failed or unknown", days.failed[-1], None, spark.spark(days.failed), over),
    ]


def waiting(held: Iterable[Hold], now_ns: int) -> list[dict[str, object]]:
    """Open holds, without anything the agent wrote."""
    return [
        {
            "id": hold.id, "what": words.effect(hold, payload=False), "where": hold.upstream, "tier": str(hold.tier), "state": str(hold.state),
            "due": when.due(hold.asked_at_ns, hold.expires_at_ns, now_ns) if hold.state == "pending" else None,
        }
        for hold in held
    ]  # fmt: skip


def decided(item: Document, now_ns: int) -> dict[str, object]:
    """A ruling as one line; whatever it lacks is left open."""
    proposed, reasons, effect = item.get("proposed"), item.get("reasons"), str(item.get("effect"))
    word, tone = _EFFECTS.get(effect, (effect, "ink"))
    return {
        "effect": word, "tone": tone, "id": str(item.get("ruling")), "at": when.logged(str(item.get("time") or item.get("at")), now_ns).clock,
        "what": f"{proposed.get('kind')} at {proposed.get('upstream')}" if isinstance(proposed, dict) else "not classified",
        "codes": [str(reason.get("code")) for reason in reasons if isinstance(reason, dict)] if isinstance(reasons, list) else [],
    }  # fmt: skip


def _looser(picture: AgentPicture) -> list[tuple[str, str]]:
    """Down to what the registry says and no further: the stricter of the two wins."""
    mode = picture.view.mode
    return [each for each in _LOOSER if RANK[picture.view.agent.mode] <= RANK[each[0]] < RANK[mode] != RANK["revoked"]]


def _owners(own: Iterable[tuple[str, str | None]], of_workflows: Iterable[Owners]) -> list[tuple[str, str]]:
    """Who answers, by seat; what the agent's entry leaves open its workflows say."""
    found: dict[str, list[str]] = {seat: [name] for seat, name in own if name}
    written = set(found)
    for owners in of_workflows:
        for seat in ("business", "technical", "security", "privacy"):
            name = getattr(owners, seat)
            if name and seat not in written and name not in found.setdefault(seat, []):
                found[seat].append(name)
    return [(seat, ", ".join(names)) for seat, names in found.items()]


def _reached(one: Reach) -> dict[str, object]:
    return {
        "system": one.upstream, "destination": one.destination, "external": one.external,
        "grades": [(stage.capitalize(), grade, _GRADES[grade]) for stage, grade in one.grades], "fields": ", ".join(one.fields),
    }  # fmt: skip


def _kind(kind: str, label: str, went: tuple[Way, ...]) -> dict[str, object]:
    return {"kind": kind, "class": label, "ways": [(str(way.stage), way.upstream, way.destination, way.external) for way in went]}


def _seats(rule: TierRule) -> str:
    if not rule.seats:
        return "nobody; what runs is recorded"
    return ", ".join(f"{seat.count} {' or '.join(seat.functions)}" for seat in rule.seats)


def _way_back(name: str, rollback: Rollback, now_ns: int) -> dict[str, object]:
    tested = when.day(rollback.tested_at or "")
    age = None if tested is None else when.days_since(tested, now_ns)
    return {
        "workflow": name, "kind": rollback.kind, "steps": rollback.steps, "owner": rollback.owner, "rto": rollback.rto,
        "tested": rollback.tested_at, "age": None if age is None else when.distance(age), "untested": rollback.kind != "none" and age is None,
    }  # fmt: skip
