"""The console's pages of registries that wait for two people who gain nothing by them: what each widens, in words, and the confirmation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from aiohttp import web

from stagewarden.errors import Conflict, Invalid, NotAllowed, NotFound
from stagewarden.gate.revisions import NEEDED
from stagewarden.web import render
from stagewarden.web.console import when
from stagewarden.web.console.entry import Refusal
from stagewarden.web.console.exact import digest_parts
from stagewarden.web.console.handlers import Handlers

if TYPE_CHECKING:
    from stagewarden.gate.revisions import RevisionView
    from stagewarden.identity.people import Caller
    from stagewarden.registry import Widening

_SAID = {"confirmed": "Your word is recorded."}
_SECTIONS = {
    "people": "Somebody may do more", "agents": "An agent may do more", "workflows": "A workflow may do more",
    "destinations": "Something may go to a wider place", "tiers": "A tier asks for less", "triggers": "Less stops and asks",
    "grants": "Grants may be wider", "processes": "A process changes",
}  # fmt: skip


class Revisions(Handlers):
    """The handlers."""

    def routes(self) -> list[web.RouteDef]:
        """List, one, a person's word."""
        return [
            web.get("/registry", self._entry.page(self._list)),
            web.get("/registry/{id}", self._entry.page(self._revision)),
            web.post("/registry/{id}/confirm", self._entry.form(self._confirm)),
        ]

    async def _list(self, asked: web.Request, caller: Caller) -> web.Response:
        found = [self._shown(view, caller) for view in await self._gate.waiting_revisions(caller)]
        said = _SAID.get(asked.query.get("said", ""))
        return self._site.page(asked, caller, "revisions.html", {"here": "registry", "rows": found, "needed": NEEDED, "said": said})

    async def _revision(self, asked: web.Request, caller: Caller, refused: Refusal | None = None) -> web.Response:
        view = next((one for one in await self._gate.waiting_revisions(caller) if one.revision.id == asked.match_info["id"]), None)
        if view is None:
            raise NotFound("this registry does not wait any more: it is in force, or another took its place")
        values = {
            "here": "registry", "v": self._shown(view, caller), "needed": NEEDED, "refused": refused, "said": _SAID.get(asked.query.get("said", "")),
        }  # fmt: skip
        return self._site.page(asked, caller, "revision.html", values, None if refused is None else refused.code)

    async def _confirm(self, asked: web.Request, caller: Caller, fields: dict[str, str]) -> web.StreamResponse:
        """For exactly the digest that was shown. With the last word it may be in force at once, and then its page is gone."""
        identifier = asked.match_info["id"]

        async def act() -> None:
            await self._gate.confirm_revision(caller, identifier, fields.get("digest", ""))

        try:
            await self._entry.once(caller, identifier, fields, act)
        except (NotAllowed, Invalid, Conflict) as failure:
            return await self._revision(asked, caller, Refusal.of(failure))
        return render.see_other("/registry?said=confirmed")

    def _shown(self, view: RevisionView, caller: Caller) -> dict[str, object]:
        stored, now = view.revision, self._clock.now_ns()
        return {
            "id": stored.id, "digest": stored.digest, "digest_parts": digest_parts(stored.digest), "base_parts": digest_parts(stored.base),
            "since": when.moment(stored.since_ns, now), "why_not": view.why_not, "widens": [_change(one) for one in view.widens],
            "gains": sorted({person for one in view.widens for person in one.gains}),
            "said": [(one.person, when.moment(one.at_ns, now)) for one in stored.confirmations],
            "mine": any(one.person == caller.person for one in stored.confirmations), "left": max(0, NEEDED - len(stored.confirmations)),
        }  # fmt: skip


def _change(one: Widening) -> dict[str, object]:
    """A place where more would be possible: what was and what would be, where both are told; of lists, what comes and what goes."""
    before, arrow, after = one.text.partition(" → ")
    old, new = (_listed(before), _listed(after)) if arrow else (None, None)
    told: dict[str, object] = {"before": before if arrow else None, "after": after if arrow else one.text, "added": "", "gone": ""}
    if old is not None and new is not None:
        told = {
            "before": ", ".join(old) or "none", "after": ", ".join(new) or "none", "added": ", ".join(each for each in new if each not in old),
            "gone": ", ".join(each for each in old if each not in new),
        }  # fmt: skip
    return {"what": _SECTIONS.get(one.place.partition(".")[0], "Something changes"), "place": one.place, "gains": one.gains, **told}


def _listed(text: str) -> list[str] | None:
    """A list of names as the registry's document has it; None for anything else, or for what was too long to be quoted whole."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return [str(each) for each in found] if isinstance(found, list) and all(isinstance(each, str) for each in found) else None
