"""Three voices, three surfaces: what an agent wrote stands in a sheet, in its dashed box, in a quotation or in a field of a form, nowhere else."""

from __future__ import annotations

import time
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from stagewarden.model import HoldState, Reason
from tests.fakes import held
from tests.unit.web.console.test_pages import get
from tests.unit.web.people.test_guard import sign_in

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from tests.people_listener import Served

MARK = "zqx"  # stands in everything the agent controls
VOID = frozenset({"meta", "link", "input", "br", "hr", "img", "path", "rect", "circle"})
SURFACES = frozenset({"sheet", "agentsays"})


class Reader(HTMLParser):
    """Collects every text that holds the mark and stands on none of the agent's surfaces; quotations are looked for in the text itself."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[tuple[str, frozenset[str]]] = []
        self.outside: list[str] = []
        self.seen = 0
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """No attribute carries it, but a form's own values."""
        if tag not in VOID:
            self.open.append((tag, frozenset((dict(attrs).get("class") or "").split())))
        assert not any(MARK in (value or "") for name, value in attrs if name not in {"value", "title", "pattern"}), (tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        """Close."""
        if tag not in VOID:
            while self.open and self.open.pop()[0] != tag:
                pass

    def handle_data(self, data: str) -> None:
        """Where it stands."""
        before, self.text = self.text, (self.text + data)[-400:]
        if MARK not in data:
            return
        self.seen += 1
        classes = {name for _, names in self.open for name in names}
        quoted = (before + data[: data.index(MARK)]).rfind("“") > (before + data[: data.index(MARK)]).rfind("”")
        if not (SURFACES & classes or quoted):
            self.outside.append(data)


@pytest.mark.parametrize("state", [HoldState.PENDING, HoldState.SETTLING, HoldState.DONE], ids=str)
@pytest.mark.parametrize("asset", [None, f"{MARK} approved"], ids=["new", "asset"])
async def test_nothing_an_agent_wrote_stands_outside_its_surfaces(served: Served, http: ClientSession, state: HoldState, asset: str | None) -> None:
    """Title, field names, values, long texts, asset's id, target, headers, facts, assertions, files, a rule's detail."""
    body = {f"{MARK} name": f"{MARK} value", "title": f"{MARK} title", f"{MARK} long": f"<p>{MARK}</p>\n<b>x</b>", "same": f"{MARK} same"}
    said = {f"{MARK} key": f"{MARK} word", "sources": [f"{MARK} source"], "rationale": f"{MARK} why", "model": f"{MARK} model"}
    before = {"same": f"{MARK} same", f"{MARK} rest": f"{MARK} untouched"}
    facts = {
        "claims": [f"{MARK} claim"], "offers": [{"id": f"{MARK} offer", "valid_to": f"{MARK}"}],
        "recipients": {"count": 3, "size": 4, "segment": f"{MARK} segment", "exclusions": {f"{MARK} out": 1}, "sample": [MARK] * 3},
    }  # fmt: skip
    now = time.time_ns()
    hold = held(now, body, before=before, asserted=said, state=state, ended_at_ns=now, settles_at_ns=now + 10**11, asset=asset)
    reasons = (*hold.reasons, Reason("legal_or_price", "r", "A price", {"found": [f"{MARK} detail"]}))
    target = f"/posts/{MARK}?{MARK}={MARK}"
    request = replace(hold.request, target=target, headers=(*hold.request.headers, ("X-Zqx", MARK)))
    hold = served.gate.add(replace(hold, reasons=reasons, question={**hold.question, "facts": facts}, request=request))
    served.gate.add(replace(hold, id=f"{hold.id[:-4]}ZZZZ", state=HoldState.REJECTED, ended_by="timing"))
    await sign_in(http, served)
    _, page = await get(served, http, f"/holds/{hold.id}")
    reader = Reader()
    reader.feed(page)
    assert reader.seen > 20
    assert reader.outside == []
