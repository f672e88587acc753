"""What one judgement costs, in CPU microseconds and as a ratio to OPA's own reading of the question's JSON. `python -m tests.bench.policy`.

Four usual questions in interleaved rounds in one process, the best of all; the decision cache; a thousand registered entries and a thousand
rules where ten were; what it costs to bound an evaluation. Measures, asserts nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import orjson
import wasmtime

from stagewarden import registry as registries
from stagewarden.clock import SystemClock
from stagewarden.config import Cache, Places, Seconds
from stagewarden.decision import WasmDecider, load_bundle
from stagewarden.decision.build import compile_rules
from stagewarden.decision.bundle import Bundle
from stagewarden.decision.cache import CachingDecider
from stagewarden.decision.wasm import calls, program
from stagewarden.decision.wasm import instance as instances
from stagewarden.decision.wasm.instance import Instance
from stagewarden.gate.question import Circumstances, Parts, build
from stagewarden.model import Action, Asset, Credential, Link, Principal, Question, Request, Stage, Target
from tests.needs import NEEDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from stagewarden.decision import Decider
    from stagewarden.model import Document

HOUSE = Path(__file__).parents[1] / "scenarios" / "house" / "registry.yaml"
NOW_NS = time.time_ns()
BODY: dict[str, Any] = {"title": "Winter opening hours", "body": "x" * 950}
ARTICLE: dict[str, Any] = {"id": "11", "status": "draft", "title": "Winter opening hours", "body": "y" * 950}
HEADERS = (
    ("Accept", "*/*"), ("Accept-Encoding", "gzip, deflate"), ("User-Agent", "newsroom-agent/1.0"), ("Content-Type", "application/json"),
)  # fmt: skip
CONSTANT = """package stagewarden.main

verdict := {"effect": "deny", "tier": "low", "cacheable": false, "reasons": [], "seats": [], "obligations": {}}
"""


@cache
def registry() -> Document:
    """The scenarios' registry, attested today."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "registry.yaml"
        path.write_text(HOUSE.read_text().replace("@TODAY@", datetime.now(UTC).date().isoformat()))
        return registries.load(path).document()


def question(agent: str, stage: Stage, kind: str, asset: Asset, content: Document | None = None) -> Document:
    """What the gate asks about a POST of 1 KB by this agent of the newsletter."""
    body = {} if content else BODY
    target = Target("/articles", "/articles", ("articles",))
    request = Request("newsroom", "POST", "https", "cms.internal", "/articles", HEADERS, orjson.dumps(body))
    principal = Principal(agent, Credential("key", agent, 0), (Link("agent", agent, verified=True),), "newsletter")
    fields = tuple(sorted(body))
    action = Action("newsroom", "POST /articles", stage, kind, asset, fields, (), "newsroom-site", external=True, reversible="compensate")
    facts: Document = {"claims": [], "offers": [], "content": dict(content) if content else None}
    parts = Parts(request, request.digest(agent, stage), target, "localhost", body, principal, action, facts, {})
    return build(parts, Circumstances(NOW_NS, str(registry()["revision"]), "production", "active")).document


def questions() -> dict[str, Document]:
    """The usual ones."""
    untracked = Asset(None, None, "untracked")
    looked = Asset("11", "sha256:" + "0" * 64, "draft")
    return {
        "generate allowed": question("drafter", Stage.GENERATE, "article.draft", untracked),
        "edit of a looked-up draft allowed": question("drafter", Stage.EDIT, "article.edit", looked),
        "export held": question("drafter", Stage.EXPORT, "article.publish", looked, ARTICLE),
        "deletion denied": question("drafter", Stage.EXPORT, "article.delete", looked),
    }


async def loaded(bundle: Bundle, data: Document, memory: int = 64 << 20) -> WasmDecider:
    """The engine, judging by this registry."""
    decider = WasmDecider(bundle, 1.0, memory)
    await decider.load(data)
    return decider


def best_of(arms: dict[str, Callable[[], object]], rounds: int, each: int = 100) -> dict[str, float]:
    """CPU microseconds of one call of each arm: the best of interleaved rounds."""
    best = dict.fromkeys(arms, float("inf"))
    for _ in range(rounds):
        for name, call in arms.items():
            start = time.process_time_ns()
            for _ in range(each):
                call()
            best[name] = min(best[name], (time.process_time_ns() - start) / each / 1000)
    return best


def decide(decider: Decider, document: Document) -> Callable[[], object]:
    """A whole decision, driven without a loop: the engine in process never waits."""
    asked = Question(document)

    def run() -> object:
        try:
            decider.decide(asked).send(None)
        except StopIteration as done:
            return done.value
        raise AssertionError

    return run


def evaluate(decider: WasmDecider, document: Document) -> Callable[[], object]:
    """The evaluation alone, question and result as bytes."""
    text = orjson.dumps(document)
    instance = decider._current
    assert instance is not None
    return lambda: instance.evaluate(text)


def usual(decider: WasmDecider, parser: WasmDecider, rounds: int) -> None:
    """The usual questions, and beside each the engine reading its JSON for a policy that is a constant."""
    asked = questions()
    arms: dict[str, Callable[[], object]] = {}
    for name, document in asked.items():
        arms |= {name: decide(decider, document), f"{name}/rules": evaluate(decider, document), f"{name}/json": evaluate(parser, document)}
    cost = best_of(arms, rounds)
    print(f"{'question':36} {'bytes':>5} {'effect':>7} {'decision us':>12} {'evaluation us':>14} {'JSON alone us':>14} {'ratio':>6}")
    for name, document in asked.items():
        effect = getattr(arms[name](), "effect", "")
        whole, rules, json = (cost[name + arm] for arm in ("", "/rules", "/json"))
        print(f"{name:36} {len(orjson.dumps(document)):5} {effect:>7} {whole:12.1f} {rules:14.1f} {json:14.1f} {rules / json:6.2f}")


def cached(decider: WasmDecider, rounds: int) -> None:
    """What the decision cache saves where it has the answer, and costs where it has not."""
    asked = questions()["generate allowed"]
    arms = {"without": decide(decider, asked)}
    for name, age in {"hit": 10.0, "miss": 0.0}.items():
        cache = CachingDecider(decider, Cache(age=Seconds(age)), SystemClock(), lambda: 0, lambda result: None)
        arms[name] = decide(cache, asked)

    async def under_a_loop() -> dict[str, float]:
        return best_of(arms, rounds)

    for name, micros in asyncio.run(under_a_loop()).items():
        print(f"decision cache, {name}: {micros:.1f} us")


def many(bundle: Bundle, opa: Path, rounds: int) -> None:
    """A thousand of what ten were: entries of the registry (looked up by name), and a customer's rules (tried one after the other)."""
    asked = questions()["generate allowed"]
    arms: dict[str, Callable[[], object]] = {}
    for number in (10, 1000):
        grown = asyncio.run(loaded(bundle, crowded(number), 256 << 20))
        arms[f"registry/{number}"] = evaluate(grown, asked)
        files = (*bundle.rego, ("stagewarden/rules/bulk/bulk.rego", topic(number).encode()))
        ruled = asyncio.run(loaded(Bundle(files, compile_rules(files, opa)), registry(), 256 << 20))
        arms[f"rules/{number}"] = evaluate(ruled, asked)
    cost = best_of(arms, rounds)
    for what, words in {"registry": "workflows, agents, destinations and people each", "rules": "rules of a topic, by kind"}.items():
        ten, thousand = cost[f"{what}/10"], cost[f"{what}/1000"]
        print(f"1000 {words}: {thousand:.1f} us, with 10: {ten:.1f} us, ratio {thousand / ten:.2f}")


def crowded(number: int) -> Document:
    """The registry with so many entries of each section."""
    document = dict(registry())
    for section in ("people", "workflows", "agents", "destinations"):
        entries: Any = document[section]
        model = next(iter(entries.values()))
        document[section] = {**{f"other-{at}": model for at in range(number)}, **entries}
    return document


def topic(number: int) -> str:
    """A customer's topic with so many rules."""
    rules = "".join(f'\ndeny contains _no if input.action.kind == "bulk.{at}"\n' for at in range(number))
    return f'package stagewarden.rules.bulk\n\n_no := {{"code": "no", "text": "No"}}\n{rules}'


def metering(bundle: Bundle, rounds: int) -> None:
    """What bounding an evaluation costs: fuel (ours), epochs, nothing. Only to weigh them; nothing here is how the product runs."""
    arms: dict[str, Callable[[], object]] = {}
    for name, option in {"fuel": "consume_fuel", "epochs": "epoch_interruption", "nothing": "wasm_simd"}.items():
        with mock.patch.object(wasmtime.Config, "consume_fuel", getattr(wasmtime.Config, option)):
            made = program.Program(bundle.wasm, 64 << 20)
        bound = {"fuel": wasmtime.Store.set_fuel, "epochs": lambda store, fuel: store.set_epoch_deadline(fuel), "nothing": lambda store, fuel: None}[
            name
        ]
        # What feeds the store before each evaluation; ours is the product's own way.
        feeding = calls.fueling if name == "fuel" else (lambda store, bound=bound: partial(bound, store))
        with mock.patch.object(wasmtime.Store, "set_fuel", bound), mock.patch.object(instances, "fueling", feeding):
            abilities = program.Abilities.read(*Instance(made, program.Abilities(-1, {}), {}, 1 << 30).describe())
            instance = Instance(made, abilities, {"registry": registry()}, 1 << 30)
        arms[name] = partial(instance.evaluate, orjson.dumps(questions()["generate allowed"]))
    for name, micros in best_of(arms, rounds).items():
        print(f"bounded by {name}: {micros:.1f} us")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", default="builtin", help="builtin, a folder of Rego, or a bundle file")
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    bundle = load_bundle(options.bundle, Path.cwd(), Places.of())
    opa = NEEDS["opa"].find()
    if opa is None:
        parser.exit(1, f"needs OPA, to compile what is measured beside the bundle: {NEEDS['opa'].install}\n")
    constant = (("main.rego", CONSTANT.encode()),)
    baseline = asyncio.run(loaded(Bundle(constant, compile_rules(constant, opa)), registry()))
    decider = asyncio.run(loaded(bundle, registry()))
    usual(decider, baseline, options.rounds)
    cached(decider, options.rounds)
    many(bundle, opa, options.rounds)
    metering(bundle, options.rounds)


if __name__ == "__main__":
    main()
