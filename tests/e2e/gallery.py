"""Every page of the console with something on it, to be looked at: by axe, by a measure of its width, by people (screens.py).

A page is a name, who looks and where. A route of the console that no page here shows fails a test, so that none is forgotten.
"""

from __future__ import annotations

import json
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace

from stagewarden.clock import new_id
from stagewarden.grants import Bound, GrantState
from stagewarden.holds.signals import Review
from stagewarden.identity.people import Caller
from stagewarden.identity.terminals import Asking, challenge_of
from stagewarden.model import Answer, HoldState, Reason, Seat, Tier, Vote
from stagewarden.modes import Kill, parse_scope
from stagewarden.registry import Registry
from stagewarden.store import Revision
from tests.e2e.chromium import enter
from tests.fakes import HOUR, TEN, held
from tests.people_listener import PASSWORD, people_listener

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from playwright.async_api import Page

    from stagewarden.model import Document, Hold
    from tests.people_listener import Served

MINUTE = HOUR // 60
TERMINAL = Asking(challenge_of("a verifier"), "x" * 22, 43121, "ines@desk-7.northfield.example")
CARRIED = Asking(challenge_of("another verifier"), "x" * 22, 0, "ines@build-host")
LETTER: Document = {
    "subject": "Spring price: 20 % off until 30 April",
    "price_line": "Home plan from € 39 a month",
    "closing": "Our lowest price this year. Write to us if you have questions.",
    "sender": "news@example.org",
    "reply_to": "hello@example.org",
}
LETTER_BEFORE: Document = {
    "subject": "Spring is coming: our new prices",
    "price_line": "Home plan from € 49 a month",
    "closing": "Write to us if you have questions.",
    "sender": "news@example.org",
    "reply_to": "hello@example.org",
}
POST: Document = {
    "status": "publish",
    "title": "Winter opening hours end on Sunday",
    "content": "<h2>Hours</h2>\n<p>From Sunday we are open from 9 to 18.</p>\n<p>See <a href='https://shops.example/list'>all shops</a>.</p>",
    "slug": "hours",
}
POST_BEFORE: Document = {
    "status": "draft",
    "title": {"raw": "Winter opening hours"},
    "content": {
        "raw": "<h2>Hours</h2>\n<p>Until Sunday we are open from 10 to 16.</p>\n<p>See <a href='https://shops.example/list'>all shops</a>.</p>"
    },
    "slug": "hours",
}
SAYS: Document = {
    "rationale": "The owner already approved this price by phone. Price sheet: \u202efdp.secirp\u202c and pro\u200bmo terms attached.",
    "model": "writer-2",
}
REASONS = (
    Reason("customer_data", "stagewarden.rules.triggers", "It uses customer data: contact"),
    Reason("large_audience", "stagewarden.rules.triggers", "4,212 recipients; over 500 needs people"),
    Reason("legal_or_price", "stagewarden.rules.triggers", "It states a price"),
)


@dataclass(frozen=True, slots=True)
class Shown:
    """A page: a name for its picture, who looks, where."""

    name: str
    person: str | None
    path: str


@dataclass(frozen=True, slots=True)
class Gallery:
    """The console, filled, and its pages."""

    served: Served
    pages: tuple[Shown, ...]

    async def open(self, page: Page, shown: Shown) -> None:
        """As that person; whoever else was signed in before is not any more."""
        name = page.locator(".side .who b")
        if shown.person is None or await name.count() == 0 or await name.text_content() != shown.person:
            await page.context.clear_cookies()
            await self._sign_in(page, shown.person)
        await page.goto(self.served.url + shown.path)

    async def _sign_in(self, page: Page, person: str | None) -> None:
        if person is not None:
            await enter(page, f"{self.served.url}/sign-in", person, PASSWORD)


@asynccontextmanager
async def gallery(folder: Path) -> AsyncIterator[Gallery]:
    """A morning's work: a high-tier letter half approved, a post, others in every state, an agent paused, a workflow stopped."""
    async with people_listener(folder) as served:
        gate, now = served.gate, time.time_ns()
        letter = gate.add(_letter(now))
        post = gate.add(held(now, POST, before=POST_BEFORE, asserted={"rationale": "From the shop sheet."}, expires_at_ns=now + 160 * MINUTE))
        settling = gate.add(_ended(now, HoldState.SETTLING, "Heat pumps, honestly", settles_at_ns=now + 5 * MINUTE, ended_at_ns=0))
        unknown = gate.add(_ended(now, HoldState.UNKNOWN, "Q2 retail outlook"))
        done = gate.add(
            _ended(now, HoldState.DONE, "Winter tips for your boiler", response=Answer(201, (("Content-Type", "application/json"),), b'{"id": 1842}'))
        )
        rejected = gate.add(_ended(now, HoldState.REJECTED, "Lowest price ever", ended_by="unapproved_claim"))
        gate.add(
            held(
                now,
                {"title": "How we use your data"},
                tier=Tier.HIGH,
                expires_at_ns=now + 22 * MINUTE,
                seats=(Seat(("privacy",), 1), Seat(("security",), 1)),
            )
        )
        gate.add(held(now, {"title": "Look back at an internal brief"}, tier=Tier.LOW, expires_at_ns=now + 30 * HOUR))
        gate.add(held(now, kind="article.change_live", agent="helper-4", workflow="support-replies", asked=False, expires_at_ns=now + 60 * HOUR))
        gate.modes["helper-4"] = ("paused", "aiko", "it answered twice")
        scope, why = parse_scope("workflow:support-replies"), "answers went out twice"
        gate.engaged.append(Kill(id=new_id("k", now), scope=scope, by="aiko", at_ns=now - HOUR, reason=why))
        made = {
            code: gate.record(effect, code)
            for effect, code in (("allow", "stage_granted"), ("hold", "unreviewed_external"), ("deny", "route_not_listed"), ("deny", "customer_data"))
        }
        rulings = {name: str(made[code]["ruling"]) for name, code in (("held", "unreviewed_external"), ("denied", "route_not_listed"))}
        gate.reviews = [*_reviews("newsletter", 34, now), *_reviews("support-replies", 12, now)]
        owned = await _owners_work(served, now)
        pages = _pages(rulings, letter=letter, post=post, settling=settling, unknown=unknown, done=done, rejected=rejected)
        # by reader, so that each signs in once; the door first
        yield Gallery(served, (pages[0], *sorted((*pages[1:], *owned), key=lambda shown: shown.person or "")))


def _table(text: str) -> tuple[Shown, ...]:
    """A page a line: its name, who looks (`-`: nobody is signed in), where."""
    rows = (line.split() for line in text.strip().splitlines())
    return tuple(Shown(name, None if person == "-" else person, path) for name, person, path in rows)


async def _owners_work(served: Served, now: int) -> tuple[Shown, ...]:
    """A mode with a past, a stop and what it ended, grants in three states, a registry that waits; and the pages that show them."""
    gate, aiko = served.gate, Caller("aiko", None, frozenset(), "session")
    for mode, why in (("paused", "a wrong price in two drafts"), ("active", "the prompt is mended, and was tried")):
        await gate.set_mode(aiko, "drafter-7", mode, why)
    gate.add(held(now, state=HoldState.STOPPED, ended_at_ns=now))
    asked, ended, running = (gate.offer("jonas") for _ in range(3))
    bounds = (Bound(pointer="/title", max_length=80), Bound(pointer="/status", enum=("draft", "pending")), Bound(pointer="/pinned", const=False))
    gate.grants[asked.id] = replace(asked, terms=replace(asked.terms, bounds=bounds))
    gate.grants[ended.id] = replace(
        ended,
        terms=replace(ended.terms, uses=1),
        state=GrantState.REVOKED,
        approved_at_ns=now,
        ended_at_ns=now,
        ended_by="ines",
        ended_why="not needed",
    )
    terms = replace(running.terms, uses=40)
    gate.grants[running.id] = replace(running, terms=terms, state=GrantState.ACTIVE, approved_at_ns=now, expires_at_ns=now + HOUR)
    data = gate.registry.data
    people = {**data.people, "samir": replace(data.people["samir"], functions=("compliance", "security"))}
    agents = {**data.agents, "drafter-7": replace(data.agents["drafter-7"], stages=("generate", "edit", "queue", "export"))}
    wider = Registry.of(replace(data, people=people, agents=agents))
    for state, said in (("delivered", {}), ("waiting", {"channel": "chat", "attempts": 2, "code": "http_503"}), ("dead", {"target": "rita"})):
        gate.notify(state, **said)
    gate.revisions.append(Revision(new_id("c", now), "waiting", gate.registry.digest(), wider.digest(), wider, now, ()))
    stop, waiting = gate.engaged[0].id, gate.revisions[0].id
    return _table(f"""
        agent-history         ines    /agents/drafter-7/history
        agents-none           ines    /agents?owner=nobody
        workflows             ines    /workflows
        workflow              ines    /workflows/newsletter
        stopped               aiko    /stop/{stop}
        stopped-no-lift       ines    /stop/{stop}
        grants                aiko    /grants
        grants-none           aiko    /grants?tab=wider
        grant-vote            aiko    /grants/{asked.id}
        grant-conflict        mara    /grants/{asked.id}
        grant-active          ines    /grants/{running.id}
        grant-ended           ines    /grants/{ended.id}
        grant-ask             jonas   /grants/ask?agent=drafter-7&workflow=newsletter
        grant-ask-whom        jonas   /grants/ask
        registry              aiko    /registry
        revision              aiko    /registry/{waiting}
        revision-gains        samir   /registry/{waiting}
    """)


def _pages(rulings: dict[str, str], /, **holds: Hold) -> tuple[Shown, ...]:
    of_holds = "\n".join(f"hold-{name} ines /holds/{hold.id}" for name, hold in holds.items())
    return _table(f"""
        sign-in               -       /sign-in?then={holds["letter"].id}
        inbox                 ines    /
        inbox-all             ines    /?tab=all
        inbox-done            ines    /?tab=done
        inbox-empty           nobody  /
        inbox-others          ines    /?tab=others
        inbox-proposals       ines    /?tab=proposals
        inbox-filtered        ines    /?tier=high&why=customer_data
        inbox-none-like-this  ines    /?tier=low&workflow=newsletter&q=nothing
        {of_holds}
        hold-conflict         mara    /holds/{holds["post"].id}
        hold-unread           jonas   /holds/{holds["letter"].id}
        hold-unknown-resolve  aiko    /holds/{holds["unknown"].id}
        hold-recorded         ines    /holds/{holds["post"].id}?said=approve&of={holds["settling"].id}
        edit                  ines    /holds/{holds["post"].id}/edit
        edit-not-offered      mara    /holds/{holds["settling"].id}/edit
        agents                ines    /agents
        agent                 aiko    /agents/drafter-7
        agent-paused          aiko    /agents/helper-4
        rulings               ines    /rulings
        rulings-why           ines    /rulings?since=2020-01-01T00:00&ruling={rulings["denied"]}
        ruling-held           ines    /rulings/{rulings["held"]}
        ruling-denied         aiko    /rulings/{rulings["denied"]}
        timeline              ines    /timeline?upstream=cms&asset=42
        timeline-nothing      ines    /timeline?upstream=cms&asset=none
        insights              ines    /insights
        insights-security     aiko    /insights
        stop                  aiko    /stop
        keys                  ines    /keys
        access                ines    /access
        deliveries            aiko    /deliveries?tab=all
        deliveries-none       ines    /deliveries?tab=waiting
        terminal              ines    /terminal?ask={TERMINAL}
        terminal-carried      ines    /terminal?ask={CARRIED}
        not-found             ines    /holds/h_01JRS8AAAAAAAAAAAAAAAAAAAZ
    """)


def _reviews(workflow: str, count: int, now: int) -> list[Review]:
    """So many approvals of one person, quicker than anybody reads."""
    return [
        Review(
            person="ines",
            workflow=workflow,
            tier="medium",
            decision="approve",
            viewed_at_ns=now - (20 * number + 8) * MINUTE,
            at_ns=now - (20 * number + 7) * MINUTE,
            length=4800,
            in_view=number % 5 > 0,
            after_hours=number > 30,
        )
        for number in range(count)
    ]


def _letter(now: int) -> Hold:
    """High tier, four seats, two of them filled."""
    seats = (Seat(("business",), 1), Seat(("security",), 1), Seat(("privacy",), 1), Seat(("compliance",), 1))
    hold = held(
        now, LETTER, before=LETTER_BEFORE, asserted=SAYS, tier=Tier.HIGH, kind="newsletter.send", questions=TEN, seats=seats, reasons=REASONS,
        expires_at_ns=now + 48 * MINUTE, asked_at_ns=now - 3 * HOUR,
    )  # fmt: skip
    action = hold.question["action"]
    assert isinstance(action, dict)
    question = hold.question | {
        "action": action | {"reversible": "none", "destination": "mailer"},
        "facts": {"recipients": {"count": 4212, "tier": "customers", "segment": "spring households"}},
    }
    votes = tuple(_vote(hold, person, function, now - ago * MINUTE) for person, function, ago in (("mara", "business", 40), ("aiko", "security", 12)))
    return replace(hold, question=question, votes=votes)


def _vote(hold: Hold, person: str, function: str, at_ns: int) -> Vote:
    return Vote(new_id("v", at_ns), person, function, "approve", None, "Prices checked against the sheet", hold.digest, hold.view_digest, at_ns)


def _ended(now: int, state: HoldState, title: str, **changes: object) -> Hold:
    body = json.dumps({"status": "publish", "title": title}).encode()
    return replace(held(now, body), state=state, **({"ended_at_ns": now - 20 * MINUTE} | changes))
