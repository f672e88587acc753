"""The product as one table: every row of *.yaml is played through the whole house, with both engines.

A row is a list of steps: `given` puts an article into the newsroom; `ask` is an agent's request; `vote`, `stop`, `kill`, `mode` are people's
acts; `change` edits the article behind our back; `ended` waits for the hold. `expect` names what must be seen: status, problem code,
effect, reasons, tier and seats of the recorded ruling, and how many writes reached the newsroom.
"""

import asyncio
import json
import subprocess
import time
from pathlib import Path

import pytest
import yaml

import stagewarden
from stagewarden.config import Places
from stagewarden.decision import WasmDecider, load_bundle
from tests.differential import differences
from tests.needs import needs
from tests.product import WASM, product

ROWS = [row for path in sorted(Path(__file__).parent.glob("*.yaml")) for row in yaml.safe_load(path.read_text())]


def test_there_are_at_least_sixty_rows_with_distinct_names():
    """The table is as large as promised, and every row can be named."""
    assert len({row["id"] for row in ROWS}) == len(ROWS) >= 60


@pytest.fixture(scope="module")
def loop_runner():
    """One event loop for the module: a sidecar per engine lives across its rows."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module", params=["wasm", "opa"])
def running(request, tmp_path_factory, loop_runner):
    """A sidecar with this engine; the OPA is a real server on a unix socket with the same bundle."""
    folder = tmp_path_factory.mktemp(request.param)
    opa = None
    engine = WASM
    if request.param == "opa":
        bundle = Path(stagewarden.__file__).parent / "bundle" / "stagewarden.tar.gz"
        opa = start_opa(needs("opa"), folder / "opa.sock", bundle)
        engine = f"{{engine: opa, deadline: 2s, opa: {{url: 'unix:{folder / 'opa.sock'}'}}}}"
    context = product(folder / "house", engine)
    running = loop_runner.run(context.__aenter__())
    if opa is not None:
        running.sidecar.rooms.decider = loop_runner.run(Both.beside(running.sidecar.rooms))
    yield running
    loop_runner.run(context.__aexit__(None, None, None))
    if opa is not None:
        opa.terminate()
        opa.wait(10)


def start_opa(binary, socket, bundle):
    """A real OPA server with our bundle."""
    command = [binary, "run", "--server", "--addr", f"unix://{socket}", "--bundle", bundle, "--log-level", "error", "--skip-version-check"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not socket.exists():
        assert process.poll() is None, "OPA ended at start"
        assert time.monotonic() < deadline, "OPA did not listen"
        time.sleep(0.02)
    return process


class Both:
    """The OPA server's verdict, and a note of every question on which the Wasm says something else."""

    def __init__(self, opa, wasm):
        self.opa = opa
        self.wasm = wasm
        self.revision = opa.revision
        self.found = []

    @classmethod
    async def beside(cls, rooms):
        """The engine in use with the other beside it, on the same registry."""
        wasm = WasmDecider(load_bundle("builtin", Path(), Places.of()), 2.0, 64 << 20)
        await wasm.load(rooms.registry.document())
        return cls(rooms.decider, wasm)

    async def decide(self, question):
        """Ask both; what the OPA server says counts."""
        self.found += await differences(self.wasm, self.opa, [question.document])
        return await self.opa.decide(question)


@pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])
def test_scenario(row, running, loop_runner):
    """What the row says is what happens, and both engines give the same verdict on every question on the way."""
    loop_runner.run(Play(running, row["id"]).run(row["steps"]))
    assert getattr(running.sidecar.rooms.decider, "found", []) == []


class Play:
    """One row, step by step."""

    def __init__(self, product, name):
        self.product = product
        self.words = {"name": name}
        self.hold = None

    async def run(self, steps):
        """Play every step; kills and modes do not outlive the row."""
        try:
            for written in steps:
                step = self.fill(written)
                (verb,) = step.keys() - {"expect"}
                before = len(self.product.newsroom.arrivals)
                reply = await getattr(self, verb)(step[verb])
                await self.check(reply, step.get("expect", {}), before)
        finally:
            for kill in (await self.product.person("GET", "/kill", "lena")).json["items"]:
                await self.product.person("DELETE", "/kill", "lena", {"id": kill["id"], "reason": "end of the row"})
            for agent in (await self.product.person("GET", "/agents", "lena")).json["items"]:
                if agent["mode"]["by"] is not None and agent["mode"]["mode"] == "paused":
                    await self.product.person("PUT", f"/agents/{agent['id']}/mode", "tomas", {"mode": "active", "reason": "end of the row"})

    def fill(self, value):
        """Replace `{article}`, `{hold}` and `{name}` in every string."""
        text = json.dumps(value)
        for word, said in self.words.items():
            text = text.replace(f"{{{word}}}", said)
        return json.loads(text)

    async def given(self, article):
        """Put an article into the newsroom."""
        newsroom = self.product.newsroom
        number = f"{900 + len(newsroom.articles)}"
        newsroom.articles[number] = {"id": number, "status": "draft", "title": self.words["name"], "body": "", "offers": [], "claims": []} | article
        self.words["article"] = number

    async def change(self, members):
        """Edit it behind our back."""
        self.product.newsroom.articles[self.words["article"]].update(members)

    async def ask(self, wanted):
        """An agent's request."""
        reply = await self.product.ask(
            wanted.get("method", "POST"), wanted["path"], wanted.get("as", "drafter"), json=wanted.get("json"), headers=wanted.get("headers"),
            data=wanted["data"].encode("latin-1") if "data" in wanted else None,
        )  # fmt: skip
        if "Stagewarden-Hold" in reply.headers:
            self.words["hold"] = reply.headers["Stagewarden-Hold"]
        return reply

    async def vote(self, wanted):
        """A person's vote on what was shown."""
        return await self.product.vote(self.words["hold"], wanted.pop("by"), wanted.pop("function"), wanted.pop("decision", "approve"), **wanted)

    async def stop(self, by):
        """A person stops the hold."""
        return await self.product.person("POST", f"/holds/{self.words['hold']}/stop", by, {"reason": "the row says so"})

    async def withdraw(self, agent):
        """The agent takes it back."""
        return await self.product.ask("POST", f"/.stagewarden/holds/{self.words['hold']}/withdraw", agent)

    async def status(self, agent):
        """The agent asks where it stands."""
        return await self.product.ask("GET", f"/.stagewarden/holds/{self.words['hold']}", agent)

    async def kill(self, wanted):
        """A person stops a scope."""
        return await self.product.person("PUT", "/kill", wanted.get("by", "ines"), {"scope": wanted["scope"], "reason": "the row says so"})

    async def mode(self, wanted):
        """A person gives an agent a mode."""
        return await self.product.person(
            "PUT", f"/agents/{wanted['agent']}/mode", wanted["by"], {"mode": wanted["mode"], "reason": wanted.get("reason", "why")}
        )

    async def ended(self, state):
        """Wait until the hold has ended in this state."""
        assert await self.product.ended(self.words["hold"]) == state

    async def check(self, reply, expect, before):
        """Compare what was seen with what the step expects."""
        readings = {
            "status": lambda: reply.status,
            "code": lambda: reply.json["type"].removeprefix("urn:stagewarden:problem:"),
            "state": lambda: reply.json["state"],
            "review": lambda: reply.headers["Stagewarden-Review"],
            "reached": lambda: len(self.product.newsroom.arrivals) - before,
            "published": lambda: self.product.newsroom.articles[self.words["article"]]["status"] == "published",
            "sent_by": lambda: self.product.newsroom.arrivals[-1].role,
            "seats": lambda: sorted(f"{'|'.join(seat['functions'])}:{seat['needed']}" for seat in reply.json["hold"]["seats"]),
        }
        seen = {name: readings[name]() for name in expect if name in readings}
        if expect.keys() & {"effect", "reasons", "tier", "stage"}:
            ruling = (await self.product.person("GET", f"/rulings/{reply.headers['Stagewarden-Ruling']}", "lena")).json
            recorded = {
                "effect": ruling["effect"], "tier": ruling["tier"], "reasons": sorted({reason["code"] for reason in ruling["reasons"]}),
                "stage": ruling["proposed"]["stage"] if "stage" in expect else None,
            }  # fmt: skip
            seen |= {name: recorded[name] for name in expect if name in recorded}
        assert seen == expect
