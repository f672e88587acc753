"""The console's page of rulings: what was decided, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from stagewarden.errors import Invalid
from stagewarden.web.people.asked import wanted

if TYPE_CHECKING:
    from stagewarden.identity.people import Caller
    from stagewarden.model import Document
    from stagewarden.web.console.entry import Entry
    from stagewarden.web.console.site import Site
    from stagewarden.web.people.ports import Gate

_EFFECTS = (("", "All"), ("allow", "Allowed"), ("hold", "Held"), ("deny", "Denied"))
_VERDICTS = {"allow": "Allowed", "hold": "Held", "deny": "Denied"}


class Rulings:
    """The handlers."""

    def __init__(self, gate: Gate, site: Site, entry: Entry) -> None:
        self._gate = gate
        self._site = site
        self._entry = entry

    def routes(self) -> list[web.RouteDef]:
        """The list."""
        return [web.get("/rulings", self._entry.page(self._list))]

    async def _list(self, asked: web.Request, caller: Caller) -> web.Response:
        """What was decided, newest first."""
        effect = asked.query.get("effect", "")
        if effect not in dict(_EFFECTS):
            raise Invalid("effect: allow, hold or deny")
        items, following = await self._gate.rulings(caller, wanted(asked.query), cursor=asked.query.get("cursor"), limit=50)
        older = f"/rulings?effect={effect}&cursor={following}" if following else None
        values = {"here": "rulings", "rulings": [_ruling(item) for item in items], "effects": _EFFECTS, "effect": effect, "following": older}
        return self._site.page(asked, caller, "rulings.html", values)


def _ruling(item: Document) -> dict[str, object]:
    """An audit entry as a row; whatever it lacks is left open."""
    body = item.get("body") if isinstance(item.get("body"), dict) else item
    assert isinstance(body, dict)
    principal, proposed, reasons = body.get("principal"), body.get("proposed"), body.get("reasons")
    effect = str(body.get("effect"))
    return {
        "at": str(body.get("at") or item.get("at") or item.get("time")),
        "effect": _VERDICTS.get(effect, effect),
        "agent": principal.get("agent") if isinstance(principal, dict) else "not known",
        "what": f"{proposed.get('kind')}, {proposed.get('upstream')}" if isinstance(proposed, dict) else "not classified",
        "codes": [str(reason.get("code")) for reason in reasons if isinstance(reason, dict)] if isinstance(reasons, list) else [],
    }
