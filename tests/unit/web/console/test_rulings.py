"""The console's pages of what was decided, without a browser: list, filters, explanation, record, timeline, what is asked for by itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stagewarden.identity.sessions import Sessions
from stagewarden.web.console import explained, record, timeline
from stagewarden.web.console.remedies import REMEDIES
from tests.unit.web.console.test_pages import get
from tests.unit.web.people.test_guard import sign_in

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from stagewarden.model import Document
    from tests.people_listener import Served

REGO = Path(__file__).parents[4] / "rego" / "stagewarden"
DIGEST, OTHER = "sha256:" + "ab" * 32, "sha256:" + "cd" * 32


def test_every_rule_s_code_has_a_remedy() -> None:
    """What would have allowed it is known for every no and every hold of the rules that are shipped; a yes needs none."""
    lines = [line for path in REGO.rglob("*.rego") if not path.stem.endswith("_test") for line in path.read_text().splitlines()]
    codes = {found[1] for line in lines if (found := re.fullmatch(r"#\s+code: (\S+)", line))}
    assert codes
    assert codes - REMEDIES.keys() == {"stage_granted", "grant_covers", "approved"}


async def test_the_list_filters_and_explains(served: Served, http: ClientSession) -> None:
    """By effect, agent and code; the chosen one stands beside with its rule's text, its remedy, and the way to its record."""
    denied = served.gate.record("deny", "route_not_listed")["ruling"]
    served.gate.record("allow", "stage_granted")
    await sign_in(http, served)
    for query, shown in (
        ("effect=deny", 1),
        ("agent=drafter-7", 2),
        ("agent=other", 0),
        ("code=route_not_listed", 1),
        ("upstream=cms&stage=export", 2),
    ):
        status, page = await get(served, http, f"/rulings?{query}")
        assert (status, page.count("data-row ")) == (200, shown), query
    _, page = await get(served, http, f"/rulings?effect=deny&ruling={denied}")
    assert 'class="chosen"' in page
    for words in ("Why it was denied", REMEDIES["route_not_listed"], "What went upstream", "Nothing.", f'href="/rulings/{denied}"'):
        assert words in page
    assert re.search(r'data-count="deny">1<', page)


@pytest.mark.parametrize("query", ["effect=maybe", "since=yesterday", "until=2026-13-99", "code=" + "x" * 300, "ruling=r_1"])
async def test_what_is_no_filter_is_said(served: Served, http: ClientSession, query: str) -> None:
    """Not guessed at, and not left out."""
    await sign_in(http, served)
    assert (await get(served, http, f"/rulings?{query}"))[0] in {400, 404, 422}


async def test_pages_of_the_list(served: Served, http: ClientSession) -> None:
    """Following `Older` gives each ruling once, with the filter kept; only the newest page is live."""
    made = [str(served.gate.record("deny", "route_not_listed")["ruling"]) for _ in range(120)]
    await sign_in(http, served)
    seen, path = [], "/rulings?effect=deny"
    while path:
        _, page = await get(served, http, path)
        seen += re.findall(r"ruling=(r_\w+)#why", page)
        assert ("data-live=" in page) == ("cursor" not in path)
        older = re.search(r'rel="next" href="([^"]+)"', page)
        path = older[1].replace("&amp;", "&") if older else ""
    assert seen == made[::-1]


async def test_what_a_page_asks_for_by_itself(served: Served, http: ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows newer than the newest shown, to this session from our own page alone; and it keeps no session alive."""
    first, second = (served.gate.record("deny", "route_not_listed") for _ in range(2))
    await sign_in(http, served)
    looks: list[bool] = []
    find = Sessions.find
    monkeypatch.setattr(Sessions, "find", lambda sessions, *rest, used=True: looks.append(used) or find(sessions, *rest, used=used))
    _, page = await get(served, http, "/rulings/live?after=-1")
    assert page.count("data-row ") == 2
    monkeypatch.setattr(type(served.gate), "rulings", _newer(served))
    _, page = await get(served, http, f"/rulings/live?after={first['seq']}")
    assert (str(second["ruling"]) in page, str(first["ruling"]) in page) == (True, False)
    assert set(looks) == {False}
    for after in ("", "x", "1e3", "٣", "9" * 30):
        assert (await get(served, http, f"/rulings/live?after={after}"))[0] == 422
    async with http.get(f"{served.url}/rulings/live?after=0", headers={"Sec-Fetch-Site": "same-site"}) as answer:
        assert answer.status == 403
    http.cookie_jar.clear()
    assert (await get(served, http, "/rulings/live?after=0"))[0] == 401


def _newer(served: Served):
    """The fake's list without what is not newer, as the reader does it by place."""

    async def rulings(_, caller, wanted, *, cursor=None, limit=50):
        return [item for item in reversed(served.gate.recorded) if int(str(item["seq"])) > wanted.after], None

    return rulings


async def test_a_ruling_s_page(served: Served, http: ClientSession) -> None:
    """The four digests, the place in the log, honest about what is not signed; the entry itself, escaped; an unknown one is not found."""
    entry = served.gate.record("deny", "route_not_listed")
    entry["request"] = {**entry["request"], "path": "/cms/<script>alert(1)</script>\u202e"}
    await sign_in(http, served)
    status, page = await get(served, http, f"/rulings/{entry['ruling']}")
    assert status == 200
    for words in ("Four digests that must be one", "Judged", "Shown", "Recorded", "Sent", "Not signed", "What is on record", "In force then"):
        assert words in page
    assert "<script>alert" not in page
    assert "U+202E right-to-left override" in page
    assert (await get(served, http, "/rulings/r_01JRS8AAAAAAAAAAAAAAAAAAAA"))[0] == 404


def _entry(**members: object) -> Document:
    made: Document = {
        "kind": "ruling", "seq": 1, "time": "2026-11-21T12:00:00.000000Z", "ruling": "r_1", "effect": "hold", "hold": "h_1", "reasons": [],
        "proposed": {"digest": DIGEST, "upstream": "cms", "kind": "post.publish", "stage": "export"}, "final": "wait", "outcome": None,
    }  # fmt: skip
    return {**made, **members}  # type: ignore[dict-item]  # JSON by construction


def _vote(digest: str, person: str = "ines") -> Document:
    return {"kind": "vote", "digest": digest, "person": person, "hold": "h_1", "time": "2026-11-21T12:01:00.000000Z"}


RELEASE: Document = {"kind": "release", "digest": DIGEST, "hold": "h_1", "time": "2026-11-21T12:02:00.000000Z"}
SENT: Document = {"kind": "outcome", "sent": DIGEST, "hold": "h_1", "result": "done", "time": "2026-11-21T12:03:00.000000Z"}


@pytest.mark.parametrize(
    ("entry", "story", "same"),
    [
        (_entry(), [], (None, None, None)),
        (_entry(), [_vote(DIGEST), _vote(DIGEST, "mara"), RELEASE, SENT], (True, True, True)),
        (_entry(), [_vote(DIGEST), _vote(OTHER, "mara"), RELEASE, SENT], (False, True, True)),
        (_entry(), [_vote(DIGEST), RELEASE | {"digest": OTHER}, SENT], (True, False, True)),
        (_entry(), [_vote(DIGEST), RELEASE, SENT | {"sent": OTHER}], (True, True, False)),
        (_entry(), [_vote(DIGEST), RELEASE, SENT | {"sent": "not_applicable"}], (True, True, None)),
        (_entry(effect="allow", hold="not_applicable", final={"send": DIGEST}, outcome=SENT), [], (None, True, True)),
        (_entry(effect="allow", hold="not_applicable", final={"send": DIGEST}, outcome=SENT | {"sent": OTHER}), [], (None, True, False)),
        (_entry(effect="deny", hold="not_applicable", proposed="not_applicable", final="nothing"), [], (None, None, None)),
    ],
    ids=[
        "waiting",
        "all one",
        "one was shown other bytes",
        "other bytes recorded",
        "other bytes sent",
        "not sent",
        "direct",
        "direct, other",
        "denied",
    ],
)
def test_digests_are_compared_and_never_taken_for_the_same(entry: Document, story: list[Document], same: tuple[bool | None, ...]) -> None:
    """Shown, recorded, sent, each against judged; what no entry says is nothing to compare, and one difference is said at the top."""
    made = record.record(entry, story)
    assert tuple(one.same for one in made.digests[1:]) == same
    assert ("byte for byte" in made.summary) == (same[2] is True and False not in same)
    for one in made.digests[1:]:
        assert one.same is not False or one.value == OTHER


def test_a_timeline_says_its_gaps_and_folds_equal_steps() -> None:
    """Each entry is a step or stands in one; two hours without an entry are said; five equal reads are one, with all five in its fold."""
    allow = _entry(effect="allow", hold="not_applicable", workflow="letters", principal={"agent": "a"})
    reads = [{**allow, "ruling": f"r_{number}", "time": f"2026-11-21T12:00:0{number}.000000Z"} for number in range(5)]
    answers = [{**SENT, "hold": "not_applicable", "ruling": f"r_{number}", "time": f"2026-11-21T12:00:0{number}.500000Z"} for number in range(5)]
    later = {**_entry(), "ruling": "r_9", "time": "2026-11-21T14:10:00.000000Z"}
    entries = [
        *(one for pair in zip(reads, answers, strict=True) for one in pair),
        later,
        _vote(DIGEST) | {"time": "2026-11-21T14:11:00.000000Z", "ruling": "r_9"},
    ]
    steps = [step for section in timeline.sections(entries) for step in section.steps]
    assert [len(step.same) for step in steps] == [5, 0, 0]
    assert [step.gap for step in steps] == [None, "2 h 9 min", None]
    assert [one.link for one in steps[0].same] == [f"/rulings/r_{number}" for number in range(5)]
    found = timeline.summary(entries)
    assert (found.rulings, found.votes, found.sends, found.people, found.automatic) == (6, 1, 5, ("ines",), 5)


def test_different_steps_of_one_moment_stay_apart() -> None:
    """The log's time has milliseconds: what happened within one is still four things, and each day is said where it begins."""
    moved = {"kind": "hold", "hold": "h_1", "state": "approved", "tier": "high", "by": "not_applicable"}
    at = "2026-11-21T23:59:59.900Z"
    entries = [{**moved, "event": event, "time": at} for event in ("filled", "settled", "claimed", "sending")]
    steps = [
        step for section in timeline.sections([*entries, {**moved, "event": "answered", "time": "2026-11-22T00:00:01Z"}]) for step in section.steps
    ]
    assert [step.what for step in steps] == [
        "Every seat is filled", "Settled: nobody stopped it", "Taken up to be sent", "Sent, once", "The upstream answered",
    ]  # fmt: skip
    assert [step.day for step in steps] == ["21 Nov 2026", None, None, None, "22 Nov 2026"]


@pytest.mark.parametrize(
    ("as_approved", "said"),
    [(True, "as approved, byte for byte"), (False, "other bytes than approved"), ("not_applicable", "")],
    ids=["approved", "other bytes", "sent directly"],
)
def test_what_nobody_approved_is_not_said_to_differ_from_it(as_approved: object, said: str) -> None:
    """An outcome whose ruling the look did not reach stands alone; of a direct send nothing was approved."""
    (section,) = timeline.sections([{**SENT, "ruling": "r_1", "hold": "not_applicable", "as_approved": as_approved}])
    assert section.steps[0].about == said


@pytest.mark.parametrize("said", [True, False], ids=["left out", "a word of the agent's"])
async def test_what_is_left_out_of_an_entry_is_said_where_it_is(served: Served, http: ClientSession, said: bool) -> None:  # noqa: FBT001
    """A path with a word of ours in it is no reason to say so."""
    entry = served.gate.record("deny", "route_not_listed")
    entry["request"] = {**entry["request"], "path": "/redacted"}
    entry["asserted"] = {"model": "redacted" if said else "m"}
    await sign_in(http, served)
    _, page = await get(served, http, f"/rulings/{entry['ruling']}")
    assert ("what the agent said of itself is not shown to you" in page) is said


async def test_a_ruling_of_another_day_says_which(served: Served, http: ClientSession) -> None:
    """Of today the time is enough."""
    served.gate.record("allow", "stage_granted")
    entry = served.gate.record("deny", "route_not_listed")
    entry["time"] = "2026-01-02T03:04:05Z"
    await sign_in(http, served)
    _, page = await get(served, http, "/rulings")
    said = re.findall(r"<td class=.time.><time[^>]*>([^<]*)<br>", page)  # the newer one says its own, should midnight pass meanwhile
    assert said[-1] == "2026-01-02"


async def test_what_is_hidden_in_an_asset_s_id_is_named(served: Served, http: ClientSession) -> None:
    """The id is an agent's: what cannot be seen in it is named in the heading, too."""
    entry = served.gate.record("allow", "stage_granted")
    entry["proposed"] = {**entry["proposed"], "asset": {**entry["proposed"]["asset"], "id": "4\u202e2"}}
    await sign_in(http, served)
    status, page = await get(served, http, "/timeline?upstream=cms&asset=4%E2%80%AE2")
    heading = re.search(r"<h1>.*</h1>", page)[0]
    assert (status, "U+202E right-to-left override" in heading, "\u202e" in heading) == (200, True, False)


@pytest.mark.parametrize("query", ["hold=h_01JRS8AAAAAAAAAAAAAAAAAAAA", "upstream=cms&asset=none"])
async def test_a_timeline_of_nothing(served: Served, http: ClientSession, query: str) -> None:
    """It is said, with the form to search again; without a question there is only the form."""
    await sign_in(http, served)
    status, page = await get(served, http, f"/timeline?{query}")
    assert (status, "The log knows nothing of it." in page, 'name="asset"' in page) == (404, True, True)
    status, page = await get(served, http, "/timeline")
    assert (status, 'name="asset"' in page, "knows nothing" in page) == (200, True, False)


async def test_a_timeline_of_an_asset(served: Served, http: ClientSession) -> None:
    """Its rulings in their order, and that the search is recorded."""
    for effect, code in (("allow", "stage_granted"), ("deny", "route_not_listed")):
        served.gate.record(effect, code)
    await sign_in(http, served)
    status, page = await get(served, http, "/timeline?upstream=cms&asset=42")
    assert status == 200
    assert page.index("Allowed: Publish the post 42 on site") < page.index("Denied: Publish the post 42 on site")
    assert "This search is recorded under your name." in page


def test_an_unclassified_request_is_named_with_what_is_hidden_in_it() -> None:
    """A path is an agent's: quotation marks and hidden characters cannot end or turn our sentence."""
    said = explained.asked({"proposed": "not_applicable", "request": {"method": "GET", "path": '/a"\u202eb\n'}})
    assert said == "GET /a\u2019[U+202E right-to-left override]b"
