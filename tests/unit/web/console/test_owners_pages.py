"""Agents, workflows, stops, grants and registries in the console: shown to whom, done once, refused with nothing changed. No browser."""

from __future__ import annotations

import re
import time
from html import escape, unescape
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from stagewarden.errors import Invalid, StateUnavailable, StepUp
from stagewarden.grants import Bound, GrantState
from stagewarden.identity.people import Caller
from stagewarden.model import HoldState
from stagewarden.registry import Registry
from stagewarden.store import Revision
from stagewarden.web.console import onward
from tests.fakes import held
from tests.people_listener import PASSWORD
from tests.unit.web.console.test_pages import get, post
from tests.unit.web.people.test_guard import sign_in

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from tests.people_listener import Served

REVISION = "c_01JRS8AAAAAAAAAAAAAAAAAAAA"
ASKED = {
    "agent": "drafter-7", "workflow": "newsletter", "what": "post.queue|queue|cms", "ttl": "2h", "uses": "3", "evidence": "TICKET-7",
    "fields": "title, body",
}  # fmt: skip


def person(name: str) -> Caller:
    """Somebody who signed in."""
    return Caller(name, None, frozenset(), "session")


async def change_to(http: ClientSession, served: Served, who: str) -> str:
    """Somebody else at the same browser."""
    http.cookie_jar.clear()
    return await sign_in(http, served, who)


def waits(served: Served) -> Revision:
    """A registry that gives one person a function and one agent a stage more."""
    data = served.gate.registry.data
    people = {**data.people, "samir": replace(data.people["samir"], functions=("compliance", "security"))}
    agents = {**data.agents, "drafter-7": replace(data.agents["drafter-7"], stages=("generate", "edit", "queue", "export"))}
    offered = Registry.of(replace(data, people=people, agents=agents))
    revision = Revision(REVISION, "waiting", served.gate.registry.digest(), offered.digest(), offered, time.time_ns(), ())
    served.gate.revisions.append(revision)
    return revision


AGENT = "/agents/drafter-7"
PAGES = ("/agents", AGENT, f"{AGENT}/history", "/workflows", "/workflows/newsletter", "/stop", "/grants", "/grants/ask", "/registry")
ON_GRANTS = ("/grants/ask", "/grants/g_1/vote", "/grants/g_1/revoke", "/grants/g_1/complete")
FORMS = (f"{AGENT}/mode", "/stop", "/stop/lift", *ON_GRANTS, f"/registry/{REVISION}/confirm")


@pytest.mark.parametrize("path", PAGES)
async def test_strangers_come_to_the_door(served: Served, http: ClientSession, path: str) -> None:
    """Every page leads to sign-in."""
    assert "Sign in to review held requests" in (await get(served, http, path))[1]


@pytest.mark.parametrize("path", FORMS)
async def test_csrf(served: Served, http: ClientSession, path: str) -> None:
    """A form without this session's token is refused, and nothing changed."""
    grant, revision = served.gate.offer("mara"), waits(served)
    await sign_in(http, served, "aiko")
    where = path.replace("g_1", grant.id)
    form = {"csrf": "x", "mode": "paused", "scope": "all", "decision": "approve", "function": "security", "digest": grant.digest, **ASKED}
    assert (await post(served, http, where, form))[0] == 403
    assert (served.gate.modes, served.gate.engaged, served.gate.grants, served.gate.revisions) == ({}, [], {grant.id: grant}, [revision])


async def test_an_agents_page_tells_what_is_known(served: Served, http: ClientSession) -> None:
    """Owners by seat, mode and its past, reach in words, what waits, and what is not measured named as such."""
    served.gate.add(held(time.time_ns()))
    served.gate.add(held(time.time_ns(), state=HoldState.SETTLING, settles_at_ns=time.time_ns()))
    await served.gate.set_mode(person("aiko"), "drafter-7", "paused", "wrong price")
    await served.gate.set_mode(person("aiko"), "drafter-7", "active", "mended")
    await sign_in(http, served)
    _, page = await get(served, http, "/agents/drafter-7")
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    for told in (
        "Writes posts and newsletters", "human jonas", "security aiko", "privacy ines", "Paused by aiko", "wrong price", "A cause of security",
        "Publish the post", "held for people", "1 approved and not sent yet would stop too", "medium tier outside", "Not measured here", "2026-01-29",
    ):  # fmt: skip
        assert told in words, told
    assert '<polyline points="' in page
    assert " style=" not in page


async def test_who_may_not_loosen_reads_why(served: Served, http: ClientSession) -> None:
    """No form for them, but who may; the same form sent anyway is refused and nothing changed."""
    await served.gate.set_mode(person("mara"), "drafter-7", "paused", "")
    csrf = await sign_in(http, served, "mara")
    _, page = await get(served, http, "/agents/drafter-7")
    assert ("You cannot lift it: it takes the function security or technical" in page, 'value="active"' in page, "aiko, jonas" in page) == (
        True,
        False,
        True,
    )
    status, page = await post(served, http, "/agents/drafter-7/mode", {"csrf": csrf, "mode": "active", "reason": "over"})
    assert (status, "Nothing was changed." in page, served.gate.modes["drafter-7"][0]) == (403, True, "paused")


@pytest.mark.parametrize(
    ("typed", "mode"), [("", None), ("drafter", None), ("DRAFTER-7", None), ("drafter-7", "revoked"), (" drafter-7 ", "revoked")]
)
async def test_to_revoke_takes_the_name(served: Served, http: ClientSession, typed: str, mode: str | None) -> None:
    """Anything else than the agent's name changes nothing."""
    csrf = await sign_in(http, served)
    status, page = await post(served, http, "/agents/drafter-7/mode", {"csrf": csrf, "mode": "revoked", "typed": typed})
    assert (status, served.gate.modes.get("drafter-7", (None,))[0]) == (200 if mode else 422, mode)
    assert ("Revoked is final for this identity." in page) is (mode is not None)


@pytest.mark.parametrize("end", ["revoke", "complete"])
async def test_a_form_sent_twice_is_one_act(served: Served, http: ClientSession, end: str) -> None:
    """A double click on pause, or on what ends a grant: one act, the same page."""
    grant = served.gate.offer("jonas")
    served.gate.grants[grant.id] = replace(grant, state=GrantState.ACTIVE, expires_at_ns=time.time_ns())
    csrf = await sign_in(http, served)
    for path, form, told in (
        ("/agents/drafter-7/mode", {"mode": "paused"}, "The agent is paused."),
        (f"/grants/{grant.id}/{end}", {}, "The grant is "),
    ):
        pages = [await post(served, http, path, {"csrf": csrf, "key": f"k-{end}-{path}"[:60], "reason": "", **form}) for _ in range(2)]
        assert [(status, told in page) for status, page in pages] == [(200, True)] * 2
    assert [past.mode for past in served.gate.past] == ["paused"]
    assert served.gate.grants[grant.id].state == (GrantState.REVOKED if end == "revoke" else GrantState.COMPLETED)


async def test_a_fresh_sign_in_is_offered_where_it_is_needed(served: Served, http: ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lifting after a long while: nothing changed, and the way to sign in again leads back to this agent."""
    await served.gate.set_mode(person("aiko"), "drafter-7", "paused", "")
    csrf = await sign_in(http, served, "aiko")

    async def refuses(*_: object) -> None:
        raise StepUp("this takes a sign-in not older than 300 s")

    monkeypatch.setattr(served.gate, "set_mode", refuses)
    status, page = await post(served, http, "/agents/drafter-7/mode", {"csrf": csrf, "mode": "active", "reason": "over"})
    assert (status, 'href="/sign-in/away?again=yes&amp;then=/agents/drafter-7%3Fundone%3Dyes"' in page) == (403, True)


async def test_of_a_stop_that_is_not_in_force_nothing_is_made_up(served: Served, http: ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the log does not answer it is said to be neither lifted nor in force."""
    await sign_in(http, served)

    async def down(*_: object, **__: object) -> None:
        raise StateUnavailable("gone")

    monkeypatch.setattr(served.gate, "receipt", down)
    status, page = await get(served, http, "/stop/k_01JRS8AAAAAAAAAAAAAAAAAAAA")
    assert (status, "No stop of this id is in force." in page) == (200, True)
    assert ("in force all the same" in page, "It is lifted" in page) == (False, False)


async def test_older_grants_of_an_agent_are_of_that_agent(served: Served, http: ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent's name may hold what means something in a query."""
    await sign_in(http, served)
    asked: list[object] = []

    async def pages(_: object, *, agent: str | None, cursor: str | None, **__: object) -> tuple[list[object], str | None]:
        asked.append((agent, cursor))
        return [], "g&1"

    monkeypatch.setattr(served.gate, "list_grants", pages)
    _, page = await get(served, http, "/grants?tab=active&agent=writer%2Bone")
    older = unescape(re.search(r'href="(/grants\?[^"]+)">Older', page)[1])
    await get(served, http, older)
    assert ("writer+one", "g&1") in asked


async def test_a_grant_is_completed_where_nothing_can_be_remembered(served: Served, http: ClientSession) -> None:
    """As by the API: what makes things stricter waits for no memory of repeats."""
    grant = served.gate.offer("jonas")
    served.gate.grants[grant.id] = replace(grant, state=GrantState.ACTIVE, expires_at_ns=time.time_ns())
    csrf = await sign_in(http, served)
    await served.store.close()
    status, page = await post(served, http, f"/grants/{grant.id}/complete", {"csrf": csrf, "key": "k-complete", "reason": ""})
    assert (status, "The grant is completed." in page, served.gate.grants[grant.id].state) == (200, True, GrantState.COMPLETED)


@pytest.mark.parametrize(
    ("then", "said"),
    [
        ("h_01JRS8AAAAAAAAAAAAAAAAAAAA", "hold <code>h_01JRS8…AAAA</code>"),
        ("g_01JRS8AAAAAAAAAAAAAAAAAAAA", "grant <code>g_01JRS8…AAAA</code>"),
        ("k_01JRS8AAAAAAAAAAAAAAAAAAAA", "stop <code>k_01JRS8…AAAA</code>"),
        (REVISION, "registry <code>c_01JRS8…AAAA</code>"),
        ("/agents/writer+one", "agent <code>writer+one</code>"),
        ("/agents/%E2%80%AEeno", "page <code>/agents/%E2%80%AEeno</code>"),
        ("/holds/h_01JRS8AAAAAAAAAAAAAAAAAAAA?undone=yes", "hold <code>h_01JRS8…AAAA</code>"),
        ("/workflows/newsletter", "workflow <code>newsletter</code>"),
        ("/grants/ask", "page <code>/grants/ask</code>"),
        ("/rulings?effect=deny", "page <code>/rulings</code>"),
    ],
    ids=["hold", "grant", "stop", "registry", "agent", "a name in disguise", "back to a hold", "workflow", "asking", "a list"],
)
async def test_the_door_says_what_it_then_opens(served: Served, http: ClientSession, then: str, said: str) -> None:
    """By its kind and its name, and leads there though the browser asks again."""
    async with http.get(f"{served.url}/sign-in", params={"then": then}, headers={"Sec-Fetch-Site": "cross-site"}) as answer:
        door = await answer.text()
    assert f"<dt>Then opens</dt><dd>{said}</dd>" in door
    again = unescape(re.search(r'content="0; url=([^"]+)"', door)[1])
    assert f'name="then" value="{then}"' in (await get(served, http, again))[1]


async def test_the_page_with_the_stop_button_opens_with_everything_down(served: Served, http: ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """State and log do not answer: the page says so, and the button is there and works."""
    csrf = await sign_in(http, served)

    async def down(*_: object, **__: object) -> None:
        raise StateUnavailable("gone")

    for name in ("traffic", "list_grants", "rulings", "waiting_revisions", "receipt"):
        monkeypatch.setattr(served.gate, name, down)
    for path in ("/agents/drafter-7", "/workflows/newsletter", "/stop", "/agents"):
        assert (await get(served, http, path))[0] == 200
    status, page = await post(served, http, "/agents/drafter-7/mode", {"csrf": csrf, "mode": "paused", "reason": ""})
    assert (status, "The agent is paused." in page, "nothing can be counted now" in page) == (200, True, True)
    status, page = await post(served, http, "/stop", {"csrf": csrf, "scope": "all", "reason": ""})
    assert (status, "The log cannot say yet what it ended" in page, [kill.scope for kill in served.gate.engaged]) == (200, True, ["all"])


@pytest.mark.parametrize(
    ("path", "shown", "hidden"),
    [
        ("/agents?mode=stopped", ["helper-4"], ["drafter-7"]),
        ("/agents?mode=active", ["drafter-7"], ["helper-4"]),
        ("/agents?workflow=newsletter", ["drafter-7"], ["helper-4"]),
        ("/agents?owner=aiko", ["helper-4"], ["drafter-7"]),
        ("/agents?owner=nobody", ["No agent is like that"], ["drafter-7", "helper-4"]),
        ("/workflows?tier=medium", ["Writes posts"], []),
        ("/workflows?tier=high", ["No workflow is like that"], ["Writes posts"]),
        ("/workflows?owner=ines&process=editorial", ["Writes posts"], []),
    ],
)
async def test_filters(served: Served, http: ClientSession, path: str, shown: list[str], hidden: list[str]) -> None:
    """By mode, workflow, owner, tier, process; links and a form, no script."""
    await served.gate.set_mode(person("aiko"), "helper-4", "paused", "")
    await sign_in(http, served)
    _, page = await get(served, http, path)
    rows = page[page.index("<tbody>") :]
    assert [text in rows for text in (*shown, *hidden)] == [True] * len(shown) + [False] * len(hidden)


async def test_a_workflow_is_stopped_from_its_page(served: Served, http: ClientSession) -> None:
    """One form, sent twice: one stop, its receipt, and the workflow's page says so."""
    stopped = served.gate.add(held(time.time_ns(), state=HoldState.STOPPED, ended_at_ns=time.time_ns()))
    csrf = await sign_in(http, served)
    _, page = await get(served, http, "/workflows/newsletter")
    assert 'name="scope" value="workflow:newsletter"' in page
    form = {"csrf": csrf, "key": "k1", "scope": "workflow:newsletter", "reason": ""}
    pages = [await post(served, http, "/stop", form) for _ in range(2)]
    (kill,) = served.gate.engaged
    assert [("Stopped: workflow:newsletter" in page, stopped.id in page) for _, page in pages] == [(True, True)] * 2
    _, page = await get(served, http, "/workflows/newsletter")
    assert f'href="/stop/{kill.id}"' in page
    _, page = await get(served, http, "/agents/drafter-7")
    assert "Stopped: workflow:newsletter." in page


async def test_a_grant_is_asked_for_voted_and_revoked(served: Served, http: ClientSession) -> None:
    """Who asks sees why they fill no seat; two others fill them; any listed person ends it with one click."""
    csrf = await sign_in(http, served, "jonas")
    _, page = await get(served, http, "/grants/ask?agent=drafter-7&workflow=newsletter")
    assert ('value="post.queue|queue|cms"' in page, "post.delete|" in page) == (True, False)
    pages = [await post(served, http, "/grants/ask", {"csrf": csrf, "key": "k1", **ASKED}) for _ in range(2)]
    (grant,) = served.gate.grants.values()
    assert ("Let drafter-7 queue (post.queue) at cms, 3 times, for 2 h" in pages[1][1], "TICKET-7" in pages[1][1]) == (True, True)
    assert "You cannot vote here: " in pages[0][1]
    assert grant.terms.fields == ("title", "body")
    for who, function in (("mara", "business"), ("aiko", "security")):
        csrf = await change_to(http, served, who)
        _, page = await get(served, http, f"/grants/{grant.id}")
        assert 'value="approve"' in page
        vote = {"csrf": csrf, "decision": "approve", "function": function, "digest": grant.digest}
        _, page = await post(served, http, f"/grants/{grant.id}/vote", vote)
        assert "Your approval is recorded." in page
    assert served.gate.grants[grant.id].state is GrantState.ACTIVE
    csrf = await change_to(http, served, "nobody")
    _, page = await post(served, http, f"/grants/{grant.id}/revoke", {"csrf": csrf, "reason": ""})
    assert ("The grant is ended." in page, served.gate.grants[grant.id].state) == (True, GrantState.REVOKED)


@pytest.mark.parametrize(
    ("change", "status", "text"),
    [
        ({"function": "privacy"}, 403, "does not hold"),
        ({"digest": "sha256:0"}, 409, "other terms"),
        ({"decision": "reject"}, 422, "reason: one of"),
        ({"decision": ""}, 422, "approve or reject"),
    ],
    ids=["a function that is not theirs", "other terms", "no reason", "nothing chosen"],
)
async def test_a_vote_on_a_grant_that_is_refused(served: Served, http: ClientSession, change: dict[str, str], status: int, text: str) -> None:
    """The page says why, and nothing changed."""
    grant = served.gate.offer("jonas")
    csrf = await sign_in(http, served, "aiko")
    vote = {"csrf": csrf, "decision": "approve", "function": "security", "digest": grant.digest, **change}
    found, page = await post(served, http, f"/grants/{grant.id}/vote", vote)
    assert (found, "Nothing was changed." in page, text in page.lower()) == (status, True, True)
    assert served.gate.grants == {grant.id: grant}


@pytest.mark.parametrize(
    "change", [{"what": ""}, {"uses": "many"}, {"evidence": " ", "asset": "TICKET-7"}, {"bound-1-place": "title"}, {"agent": "nobody"}]
)
async def test_a_grant_asked_for_wrongly_keeps_what_was_typed(served: Served, http: ClientSession, change: dict[str, str]) -> None:
    """422 with what is missing; nothing asked for, and nothing typed lost."""
    csrf = await sign_in(http, served, "jonas")
    status, page = await post(served, http, "/grants/ask", {"csrf": csrf, **ASKED, **change})
    assert (status, "Nothing was changed." in page, served.gate.grants) == (422, True, {})
    assert "TICKET-7" in page or change.get("agent") == "nobody"


BOUNDED = {
    "bound-1-place": "/title", "bound-1-rule": "text", "bound-1-longest": "80",
    "bound-4-place": "/status", "bound-4-rule": "values", "bound-4-values": "draft\r\npending", "bound-4-kind": "texts", "bound-4-absent": "yes",
}  # fmt: skip


async def test_a_grant_with_bounds_is_asked_for_in_fields(served: Served, http: ClientSession) -> None:
    """Without script: a row is added and taken away by the server, which asks for nothing; then exactly the bounds typed are asked for."""
    csrf = await sign_in(http, served, "jonas")
    form = {"csrf": csrf, **ASKED, **BOUNDED}
    for wish, rows in (("add", 3), ("remove-1", 1)):
        status, page = await post(served, http, "/grants/ask", {**form, "bounds": wish})
        assert (status, page.count('<legend class="label">Bound '), served.gate.grants) == (200, rows, {})
        assert ("TICKET-7" in page, "\ndraft\npending</textarea>" in page.replace("\r", ""), "/status" in page) == (True, True, True)
        assert (page.count(" checked>One of these values"), page.count(" checked>It may be absent")) == (1, 1)
    await post(served, http, "/grants/ask", form)
    (grant,) = served.gate.grants.values()
    assert grant.terms.bounds == (Bound(pointer="/title", max_length=80), Bound(pointer="/status", enum=("draft", "pending"), optional=True))


async def test_a_bound_that_is_none_is_told_beside_its_field(served: Served, http: ClientSession) -> None:
    """422: a summary that leads to the field, the field marked as invalid and described by its fault, everything typed kept, nothing asked for."""
    csrf = await sign_in(http, served, "jonas")
    wrong = {"bound-1-longest": "<b>many", "bound-4-place": '"><script>alert(1)</script>'}
    status, page = await post(served, http, "/grants/ask", {"csrf": csrf, **ASKED, **BOUNDED, **wrong})
    assert (status, served.gate.grants) == (422, {})
    assert '<a href="#bound-1-longest">Bound 1, at most so many characters: a whole number' in page
    control = re.search(r'<input type="text" id="bound-1-longest"[^>]*>', page)
    assert control
    assert ('aria-invalid="true"' in control[0], 'aria-describedby="bound-1-longest-fault"' in control[0], "&lt;b&gt;many" in control[0]) == (
        True,
    ) * 3
    assert ('id="bound-1-longest-fault"' in page, 'aria-invalid="true" aria-describedby="bound-2-place-fault bound-2-place-hint"' in page) == (
        True,
        True,
    )
    assert ("<script>alert" in page, "<b>many" in page, "TICKET-7" in page) == (False, False, True)


async def test_what_the_gate_refuses_of_a_grant_stands_beside_its_field(served: Served, http: ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate's own word, at the field it names."""

    async def refuses(*_: object) -> None:
        raise Invalid("ttl: at most 8h (registry: grants.max_ttl)")

    monkeypatch.setattr(served.gate, "ask_grant", refuses)
    csrf = await sign_in(http, served, "jonas")
    status, page = await post(served, http, "/grants/ask", {"csrf": csrf, **ASKED, **BOUNDED})
    assert (status, "For how long: at most 8h" in page, 'id="ttl-fault"' in page, "/status" in page) == (422, True, True, True)


async def test_bounds_and_hostile_words_of_a_grant(served: Served, http: ClientSession) -> None:
    """Bounds in words; what people wrote is text, never markup."""
    grant = served.gate.offer("jonas")
    bounds = (Bound(pointer="/title", max_length=80), Bound(pointer="/status", enum=("draft", None)), Bound(pointer="/n", const=False, optional=True))
    served.gate.grants[grant.id] = replace(grant, terms=replace(grant.terms, bounds=bounds, evidence="<script>alert(1)</script>"))
    await sign_in(http, served)
    _, page = await get(served, http, f"/grants/{grant.id}")
    for told in ("at most so many characters: 80", "one of &#34;draft&#34;, null", "exactly false", "may be absent", "&lt;script&gt;"):
        assert told in page, told
    assert "<script>alert" not in page


async def test_a_registry_is_confirmed_by_those_who_gain_nothing(served: Served, http: ClientSession) -> None:
    """What widens in words; who gains reads why not; one person's word is one."""
    revision = waits(served)
    csrf = await sign_in(http, served, "samir")
    _, page = await get(served, http, f"/registry/{REVISION}")
    assert ("more: security" in page, "more: export" in page, "You cannot confirm it: who gains by a change" in page) == (True, True, True)
    status, page = await post(served, http, f"/registry/{REVISION}/confirm", {"csrf": csrf, "digest": revision.digest})
    assert (status, served.gate.revisions) == (403, [revision])
    csrf = await change_to(http, served, "aiko")
    status, _ = await post(served, http, f"/registry/{REVISION}/confirm", {"csrf": csrf, "digest": "sha256:other"})
    assert (status, served.gate.revisions) == (409, [revision])
    for _ in range(2):
        _, page = await post(served, http, f"/registry/{REVISION}/confirm", {"csrf": csrf, "key": "k1", "digest": revision.digest})
    assert [said.person for said in served.gate.revisions[0].confirmations] == ["aiko"]
    assert "You have confirmed it." in (await get(served, http, f"/registry/{REVISION}"))[1]


async def test_the_side_bar_counts_what_waits_for_the_reader(served: Served, http: ClientSession) -> None:
    """Grants one could vote on and registries one could confirm; nothing for whom there is none; gone once it is done."""
    grant, revision = served.gate.offer("jonas"), waits(served)
    csrf = await sign_in(http, served, "aiko")
    _, page = await get(served, http, "/")
    assert ('1<span class="away"> to vote on' in page, '1<span class="away"> to confirm' in page) == (True, True)
    await post(served, http, f"/grants/{grant.id}/vote", {"csrf": csrf, "decision": "approve", "function": "security", "digest": grant.digest})
    await post(served, http, f"/registry/{REVISION}/confirm", {"csrf": csrf, "digest": revision.digest})
    _, page = await get(served, http, "/")
    assert ("to vote on" in page, "to confirm" in page, 'href="/registry"' in page) == (False, False, True)
    await change_to(http, served, "samir")
    assert "to vote on" not in (await get(served, http, "/"))[1]


@pytest.mark.parametrize(
    "path", ["/agents/nobody", "/workflows/nothing", "/stop/k_1", "/grants/g_1", f"/registry/{REVISION}", "/agents/nobody/history"]
)
async def test_what_is_not_there(served: Served, http: ClientSession, path: str) -> None:
    """404, as a page."""
    await sign_in(http, served)
    assert (await get(served, http, path))[0] == 404


@pytest.mark.parametrize(
    ("path", "then"),
    [
        ("/grants/g_01JRS8AAAAAAAAAAAAAAAAAAAA", "g_01JRS8AAAAAAAAAAAAAAAAAAAA"),
        ("/stop/k_01JRS8AAAAAAAAAAAAAAAAAAAA", "k_01JRS8AAAAAAAAAAAAAAAAAAAA"),
        (f"/registry/{REVISION}", REVISION),
        ("/agents/drafter-7", "/agents/drafter-7"),
        ("/agents/drafter-7/history", "/agents/drafter-7/history"),
        ("/agents?mode=stopped", "/agents?mode=stopped"),
        ("/workflows/newsletter", "/workflows/newsletter"),
        ("/stop", "/stop"),
        ("/?tab=all&said=approve", "/?tab=all"),
        ("/", ""),
        ("/holds/h_01JRS8AAAAAAAAAAAAAAAAAAAA/body", "h_01JRS8AAAAAAAAAAAAAAAAAAAA"),
    ],
)
async def test_a_deep_link_leads_back_after_sign_in(served: Served, http: ClientSession, path: str, then: str) -> None:
    """The page that was asked for; what is none, like a download, leads to what it is about."""
    _, door = await get(served, http, path)
    assert (f'name="then" value="{escape(then)}"' in door, "Nothing was done" in door) == (True, False)
    token = re.search(r'name="csrf" value="([^"]+)"', door)
    assert token
    form = {"csrf": token[1], "then": then, "person": "ines", "password": PASSWORD}
    async with http.post(f"{served.url}/sign-in", data=form, headers={"Origin": served.url}, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, onward.leads(then or None))


@pytest.mark.parametrize(
    ("path", "page"),
    [
        ("/stop", "/stop"),
        ("/stop/lift", "/stop"),
        (f"{AGENT}/mode", AGENT),
        ("/grants/ask", "/grants/ask"),
        ("/grants/g_01JRS8AAAAAAAAAAAAAAAAAAAA/vote", "/grants/g_01JRS8AAAAAAAAAAAAAAAAAAAA"),
        (f"/registry/{REVISION}/confirm", f"/registry/{REVISION}"),
        ("/holds/h_01JRS8AAAAAAAAAAAAAAAAAAAA/vote", "/holds/h_01JRS8AAAAAAAAAAAAAAAAAAAA"),
        ("/holds/h_01JRS8AAAAAAAAAAAAAAAAAAAA/edit", "/holds/h_01JRS8AAAAAAAAAAAAAAAAAAAA/edit"),
        ("/access/end", "/access"),
        ("/sign-out", "/"),
    ],
)
async def test_a_form_whose_session_is_over_is_told_as_not_done(served: Served, http: ClientSession, path: str, page: str) -> None:
    """The door says so, leads back to the form's page, which says it again; and nothing was done."""
    _, door = await post(served, http, path, {"scope": "all", "mode": "paused", "reason": ""})
    assert ("Nothing was done." in door, f'name="then" value="{page}?undone=yes"' in door) == (True, True)
    assert (served.gate.engaged, served.gate.modes, served.gate.grants) == ([], {}, {})


@pytest.mark.parametrize("path", ["/stop", AGENT, "/workflows/newsletter", "/grants", "/"])
async def test_after_the_detour_it_is_said_that_nothing_was_done(served: Served, http: ClientSession, path: str) -> None:
    """On the page one comes back to, once: a link there or an act does not carry it on."""
    await sign_in(http, served)
    told = "You have signed in again.</b> Nothing was done yet"
    _, page = await get(served, http, f"{path}?undone=yes")
    assert told in page
    assert told not in (await get(served, http, path))[1]


@pytest.mark.parametrize("receipt", [False, True], ids=["from the list", "from its own page"])
async def test_a_lift_after_a_fresh_sign_in_leads_back(served: Served, http: ClientSession, monkeypatch: pytest.MonkeyPatch, receipt: object) -> None:
    """To where the lift was: the list of stops, or the stop's own page."""
    csrf = await sign_in(http, served, "aiko")
    await post(served, http, "/stop", {"csrf": csrf, "scope": "all", "reason": ""})
    (kill,) = served.gate.engaged
    page = f"/stop/{kill.id}" if receipt else "/stop"
    _, shown = await get(served, http, page)
    assert ('name="from" value="receipt"' in shown) is receipt

    async def refuses(*_: object) -> None:
        raise StepUp("this takes a sign-in not older than 300 s")

    monkeypatch.setattr(served.gate, "unkill", refuses)
    form = {"csrf": csrf, "kill": kill.id, "reason": "over", **({"from": "receipt"} if receipt else {})}
    status, shown = await post(served, http, "/stop/lift", form)
    assert (status, f'href="/sign-in/away?again=yes&amp;then={page}%3Fundone%3Dyes"' in shown) == (403, True)
    assert served.gate.engaged == [kill]


async def test_a_grants_fresh_sign_in_leads_back(served: Served, http: ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the grant, where the vote was."""
    grant = served.gate.offer("jonas")

    async def refuses(*_: object) -> None:
        raise StepUp("this takes a sign-in not older than 300 s")

    monkeypatch.setattr(served.gate, "vote_grant", refuses)
    csrf = await sign_in(http, served, "aiko")
    vote = {"csrf": csrf, "decision": "approve", "function": "security", "digest": grant.digest}
    status, page = await post(served, http, f"/grants/{grant.id}/vote", vote)
    assert (status, f'href="/sign-in/away?again=yes&amp;then=/grants/{grant.id}%3Fundone%3Dyes"' in page) == (403, True)
