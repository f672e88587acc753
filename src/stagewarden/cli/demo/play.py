"""The demo's agent and people: plain HTTP clients that know nothing of the sidecar but its address."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from stagewarden.model import Document

ORDINARY = {"title": "Winter opening hours end on Sunday", "body": "From Monday all shops open at ten."}
PRICED = {"title": "Spring offer", "body": "Every umbrella now €19.90, 20 % off until Saturday."}


@dataclass(frozen=True, slots=True)
class Step:
    """One request of the agent and what came back."""

    wanted: str
    request: str
    status: int
    answer: Document

    @property
    def outcome(self) -> str:
        """Done, held or refused, in one word."""
        code = str(self.answer.get("type", "")).rpartition(":")[2]
        return {"": "done", "held": "held"}.get(code, "refused")

    @property
    def hold(self) -> Document:
        """The hold the answer names."""
        hold = self.answer.get("hold")
        return hold if isinstance(hold, dict) else {}

    @property
    def why(self) -> str:
        """The reasons as the agent is told them."""
        reasons = self.answer.get("reasons")
        if isinstance(reasons, list):
            return "\n".join(f"{reason['text']} ({reason['code']})" for reason in reasons if isinstance(reason, dict))
        return str(self.answer.get("detail", ""))


@dataclass(slots=True)
class Agent:
    """The drafting agent's run; an unmodified HTTP client whose base URL is the sidecar plus the mount."""

    session: ClientSession
    base: str
    key: str
    steps: list[Step] = field(default_factory=list)

    async def run(self) -> None:
        """Generate, edit, publish an ordinary article and one that states a price, then try what it may not."""
        ordinary = await self.ask("draft an article", "POST", "/articles", ORDINARY)
        await self.ask("edit it", "PATCH", f"/articles/{ordinary['id']}", {"body": "From Monday all shops open at ten, Mill Lane at nine."})
        await self.ask("publish it", "POST", f"/articles/{ordinary['id']}/publish")
        priced = await self.ask("draft one that states a price", "POST", "/articles", PRICED)
        await self.ask("publish that", "POST", f"/articles/{priced['id']}/publish")
        await self.ask("ask again", "POST", f"/articles/{priced['id']}/publish")
        await self.ask("delete the first", "DELETE", f"/articles/{ordinary['id']}")
        await self.ask("try an unlisted route", "GET", "/settings")

    @property
    def holds(self) -> list[str]:
        """The holds opened, in order, each once."""
        return list(dict.fromkeys(str(step.hold["id"]) for step in self.steps if step.hold))

    async def ask(self, wanted: str, method: str, path: str, body: object = None) -> Document:
        """One request; its answer, whatever it is."""
        headers = {"Authorization": f"Bearer {self.key}"}
        async with self.session.request(method, self.base + path, json=body, headers=headers) as reply:
            answer = orjson.loads(await reply.read())
        step = Step(wanted, f"{method} {path}", reply.status, answer if isinstance(answer, dict) else {})
        self.steps.append(step)
        return step.answer


@dataclass(frozen=True, slots=True)
class Reviewer:
    """A person deciding over the people's API."""

    session: ClientSession
    base: str
    person: str
    password: str

    async def approve(self, hold: str, function: str) -> str:
        """Sign in, read the hold, answer its questions, vote; the hold's state afterwards, or the problem's code."""
        signed = await self._call("POST", "/sessions", {"person": self.person, "password": self.password})
        shown = await self._call("GET", f"/holds/{hold}", token=str(signed["token"]))
        questions = shown["questions"]
        assert isinstance(questions, list)
        ballot = {
            "decision": "approve", "function": function, "digest": shown["digest"], "view_digest": shown["view_digest"],
            "answers": {str(question): True for question in questions},
        }  # fmt: skip
        voted = await self._call("POST", f"/holds/{hold}/votes", ballot, token=str(signed["token"]))
        return str(voted.get("state") or str(voted["type"]).rpartition(":")[2])

    async def _call(self, method: str, path: str, body: object = None, token: str | None = None) -> Document:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.session.request(method, f"{self.base}/api/v1{path}", json=body, headers=headers) as reply:
            answer = orjson.loads(await reply.read())
        assert isinstance(answer, dict)
        return answer
