"""The Wasm engine judges right, and whatever goes wrong in it is a no that leaves nothing behind."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import weakref
from typing import TYPE_CHECKING, Any

import orjson
import pytest
import wasmtime
from hypothesis import given, settings
from hypothesis import strategies as st

from stagewarden.decision.bundle import Bundle
from stagewarden.decision.wasm import WasmDecider, compiling
from stagewarden.decision.wasm.calls import SUPPORTED, PublicCall, UncheckedCall
from stagewarden.decision.wasm.decider import KEPT, KEPT_BYTES
from stagewarden.decision.wasm.instance import MAX_RESULT, Instance
from stagewarden.decision.wasm.program import Abilities, Program
from stagewarden.errors import ConfigError, PolicyUnavailable
from stagewarden.model import Allow, Deny, Question
from tests.unit.decision.policies import AGENTS, BODY, REASONS, abi, module, rego

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMORY = 64 << 20
DEADLINE = 0.2
REGISTRY: dict[str, Any] = {"agents": {"a": {"stages": ["generate"]}, "b": {}}}


def asks(agent: str, **more: Any) -> Question:
    """A question of the small policies."""
    return Question({"principal": {"agent": agent}, **more})


async def decider(bundle: Any, registry: dict[str, Any] | None = None, **options: Any) -> WasmDecider:
    """A decider that has loaded a registry."""
    made = WasmDecider(bundle, DEADLINE, MEMORY, **options)
    await made.load(REGISTRY if registry is None else registry)
    return made


async def test_it_judges_by_the_registry() -> None:
    """Allow and deny come from data, again and again, from the same store."""
    engine = await decider(rego(AGENTS))
    for _ in range(3):
        assert isinstance(await engine.decide(asks("a")), Allow)
        assert isinstance(await engine.decide(asks("nobody")), Deny)
    await engine.self_test()
    await engine.close()


SAYS = f"""package stagewarden.main

verdict := object.union({{"effect": "deny", {BODY}}}, {{"reasons": [{{"code": "no", "rule": "r", "text": input.text}}]}})
"""


async def test_an_equal_answer_is_read_once_and_another_never_taken_for_it() -> None:
    """Equal bytes give the same frozen verdict; how many are remembered is bounded, whatever is asked, and a long one is not."""
    engine = await decider(rego(SAYS))

    async def said(text: str) -> Any:
        return await engine.decide(asks("a", text=text))

    assert await said("x") is await said("x")
    for number in range(KEPT + 2):
        assert (await said(f"{number}")).reasons[0].text == f"{number}"
        assert len(engine._readings) <= KEPT
    long = "y" * KEPT_BYTES
    assert (await said(long)) == (await said(long))
    assert not any(long.encode() in answer for answer in engine._readings)


async def test_an_answer_that_is_not_understood_is_not_remembered() -> None:
    """It is a no every time."""
    engine = await decider(rego(SAYS))
    for _ in range(2):
        with pytest.raises(PolicyUnavailable, match="empty rule or text"):
            await engine.decide(asks("a", text=""))
    assert engine._readings == {}


async def test_an_agent_removed_from_the_registry_is_denied_at_once() -> None:
    """Rule: never built with `-O`, which keeps allowing an agent whose entry was later taken out of `data`."""
    engine = await decider(rego(AGENTS))
    assert isinstance(await engine.decide(asks("a")), Allow)
    await engine.load({"agents": {"b": {}}})
    assert isinstance(await engine.decide(asks("a")), Deny)
    assert isinstance(await engine.decide(asks("b")), Allow)
    await engine.close()


async def test_nothing_is_judged_before_a_registry_is_loaded() -> None:
    """An empty engine cannot tell."""
    engine = WasmDecider(rego(AGENTS), DEADLINE, MEMORY)
    with pytest.raises(PolicyUnavailable):
        await engine.decide(asks("a"))


async def test_a_closed_engine_cannot_tell() -> None:
    """After close no verdict comes."""
    engine = await decider(rego(AGENTS))
    await engine.close()
    with pytest.raises(PolicyUnavailable):
        await engine.decide(asks("a"))


async def test_a_registry_that_does_not_fit_keeps_the_last_one() -> None:
    """A failed load is an error, and the engine judges on by what it had."""
    engine = WasmDecider(rego(AGENTS), DEADLINE, 4 << 20)
    await engine.load(REGISTRY)
    with pytest.raises(ConfigError):
        await engine.load({"agents": {f"agent-{number}": {"n": [number] * 20} for number in range(20_000)}})
    assert isinstance(await engine.decide(asks("a")), Allow)
    await engine.close()


RUNAWAY = f"""package stagewarden.main

verdict := {{"effect": "allow", "reasons": [], {BODY}}} if {{
	input.principal.agent == "runaway"
	some a in numbers.range(1, 3000)
	some b in numbers.range(1, 3000)
	a * b == -1
}}

verdict := {{"effect": "deny", {REASONS}, {BODY}}} if input.principal.agent != "runaway"
"""
HOG = f"""package stagewarden.main

verdict := {{"effect": "allow", "reasons": [], {BODY}}} if {{
	input.principal.agent == "hog"
	everything := [concat("", [s, "{"x" * 200}"]) | some a in numbers.range(1, 4000); some b in numbers.range(1, 100); s := format_int(a * b, 10)]
	count(everything) > 0
}}

verdict := {{"effect": "deny", {REASONS}, {BODY}}} if input.principal.agent != "hog"
"""
CONFLICT = f"""package stagewarden.main

verdict := {{"effect": "allow", "reasons": [], {BODY}}} if input.principal.agent

verdict := {{"effect": "deny", {REASONS}, {BODY}}} if input.principal.agent != "quiet"
"""


@pytest.mark.parametrize("maker", [pytest.param(UncheckedCall, id="unchecked"), pytest.param(PublicCall, id="public")])
@pytest.mark.parametrize(
    ("source", "agent", "cause"),
    [
        pytest.param(RUNAWAY, "runaway", "timeout", id="runaway rule"),
        pytest.param(HOG, "hog", None, id="memory hog"),
        pytest.param(CONFLICT, "loud", "error", id="conflicting rules"),
    ],
)
async def test_a_failed_evaluation_is_a_no_and_the_next_one_is_right(source: str, agent: str, cause: str | None, maker: Any) -> None:
    """A trap ends one evaluation; a fresh store answers the next, and the one after a second trap in a row."""
    engine = await decider(rego(source), maker=maker)
    other = "quiet"
    expected = await engine.decide(asks(other))
    for _ in range(3):
        with pytest.raises(PolicyUnavailable) as caught:
            await engine.decide(asks(agent))
        assert cause is None or caught.value.cause == cause
        assert await engine.decide(asks(other)) == expected
    await engine.close()


async def test_a_spare_is_made_after_a_trap() -> None:
    """The spare is swapped in, and another one made off the loop."""
    engine = await decider(rego(RUNAWAY))
    first, spare = engine._current, engine._spare
    with pytest.raises(PolicyUnavailable):
        await engine.decide(asks("runaway"))
    assert engine._current is spare
    assert engine._renewal is not None
    await engine._renewal
    assert engine._spare not in {None, first, spare}
    await engine.close()


async def test_questions_are_judged_while_a_registry_loads() -> None:
    """Loading is off the loop and swapped in whole: every answer is by the one or the other registry."""
    engine = await decider(rego(AGENTS))
    loading = asyncio.create_task(engine.load({"agents": {f"agent-{number}": {"n": [number] * 10} for number in range(3000)}}))
    answers = []
    while not loading.done():
        answers.append(type(await engine.decide(asks("a"))))
        await asyncio.sleep(0)
    await loading
    assert set(answers) <= {Allow, Deny}
    assert answers[0] is Allow
    assert isinstance(await engine.decide(asks("a")), Deny)
    await engine.close()


async def test_an_undefined_verdict_is_a_no() -> None:
    """Silence is cause "undefined"."""
    engine = await decider(rego("package stagewarden.main\n\nverdict := {} if input.never\n"))
    with pytest.raises(PolicyUnavailable) as caught:
        await engine.decide(asks("a"))
    assert caught.value.cause == "undefined"
    await engine.close()


async def test_a_verdict_that_is_not_understood_is_a_no_and_keeps_the_store() -> None:
    """Nonsense costs nothing but its own answer."""
    engine = await decider(rego("package stagewarden.main\n\nverdict := input.echo\n"))
    store = engine._current
    for echo in (None, True, [], {"effect": "allow"}, "allow"):
        with pytest.raises(PolicyUnavailable):
            await engine.decide(asks("a", echo=echo))
    assert engine._current is store
    await engine.close()


async def test_an_answer_over_the_cap_is_a_no() -> None:
    """A verdict longer than 64 KiB is not read to its end."""
    engine = await decider(rego("package stagewarden.main\n\nverdict := input.echo\n"))
    with pytest.raises(PolicyUnavailable, match="answer"):
        await engine.decide(asks("a", echo="x" * MAX_RESULT))
    await engine.close()


async def test_a_question_larger_than_the_memory_is_a_no() -> None:
    """The cap holds for the question too, and the next one is judged."""
    engine = WasmDecider(rego(AGENTS), DEADLINE, 4 << 20)
    await engine.load(REGISTRY)
    with pytest.raises(PolicyUnavailable):
        await engine.decide(asks("a", body="x" * (5 << 20)))
    assert isinstance(await engine.decide(asks("a")), Allow)
    await engine.close()


async def test_a_large_question_is_judged() -> None:
    """A body at the limit of 1 MiB fits."""
    engine = await decider(rego(AGENTS))
    assert isinstance(await engine.decide(asks("a", body=["x" * 1000] * 1000)), Allow)
    assert isinstance(await engine.decide(asks("c")), Deny)
    await engine.close()


async def test_a_question_that_is_no_json_is_a_no() -> None:
    """What cannot be said to the policy is not asked."""
    engine = await decider(rego(AGENTS))
    with pytest.raises(PolicyUnavailable):
        await engine.decide(Question({"principal": {"agent": object()}}))  # type: ignore[dict-item]
    await engine.close()


async def test_a_missing_builtin_is_refused_at_load_by_name() -> None:
    """A built-in that would make a ruling unrepeatable names itself."""
    source = (
        AGENTS.replace("if data", 'if {\n\thttp.send({"method": "get", "url": "http://127.0.0.1"})\n\ttime.now_ns() > 0\n\tdata').rstrip() + "\n}\n"
    )
    with pytest.raises(ConfigError, match=r"http\.send, time\.now_ns"):
        WasmDecider(rego(source), DEADLINE, MEMORY)


REFUSED = {
    "foreign import": ("opa_builtin0", "fd_write", "imports env.fd_write"),
    "import of another shape": ("$builtin0 (param i32 i32)", "$builtin0 (param i64 i32)", "opa_builtin0"),
    "no memory imported": ('(import "env" "memory" (memory 2))', "(memory 2)", "does not import env.memory"),
    "memory over the cap": ("(memory 2)", "(memory 2000)", "more than policy.memory"),
    "export of another shape": ("(param i32) (result i32) (i32.const 1024)", "(result i32) (i32.const 1024)", "opa_malloc"),
    "another entrypoint": ("stagewarden/main/verdict", "stagewarden/main/verdicts", "does not answer"),
    "unknown builtin": ('8) "{}', '8) "{\\"a\\":1}', "built-ins this engine does not give: a"),
    "says something odd": ('8) "{}', '8) "[]', "names and numbers"),
    "data is not taken": ("(param i32 i32) (result i32) (i32.const 1024)", "(param i32 i32) (result i32) (i32.const 0)", "not JSON"),
    "malloc outside memory": ("(param i32) (result i32) (i32.const 1024)", "(param i32) (result i32) (i32.const 0x7ffffff0)", "no memory left"),
}


@pytest.mark.parametrize(("old", "new", "says"), REFUSED.values(), ids=REFUSED)
def test_a_module_that_is_not_opas_is_refused_at_load(old: str, new: str, says: str) -> None:
    """Everything is checked before the first question, because the fast call checks nothing."""
    with pytest.raises(ConfigError, match=says):
        WasmDecider(module("(i32.const 0)", abi(old, new)), DEADLINE, MEMORY)


def test_bytes_that_are_no_wasm_are_refused() -> None:
    """A file of another kind is a finding, not a crash."""
    with pytest.raises(ConfigError, match="no valid Wasm"):
        WasmDecider(Bundle((), b"not wasm"), DEADLINE, MEMORY)


HOSTILE = {
    "result outside memory": "(i32.const 0x7fffffff)",
    "result at a negative address": "(i32.const -8)",
    "result at null": "(i32.const 0)",
    "result without end": "(memory.fill (i32.const 4096) (i32.const 65) (i32.const 126976)) (i32.const 4096)",
    "result that is no json": "(i32.store8 (i32.const 5000) (i32.const 33)) (i32.const 5000)",
    "endless loop": "(loop $again (br $again)) (i32.const 0)",
    "endless recursion": "(call 8 (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))",
    "unreachable": "(unreachable)",
    "abort": "(call $abort (i32.const 8)) (i32.const 0)",
    "abort with no text": "(call $abort (i32.const -1)) (i32.const 0)",
    "builtin never announced": "(call $builtin0 (i32.const 7) (i32.const 0))",
}  # fmt: skip


@pytest.mark.parametrize("maker", [pytest.param(UncheckedCall, id="unchecked"), pytest.param(PublicCall, id="public")])
@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
async def test_a_hostile_module_is_a_no_every_time(body: str, maker: Any) -> None:
    """Nothing a module does reaches past its own memory, and no other error than PolicyUnavailable comes out."""
    engine = await decider(module(body), maker=maker)
    for _ in range(3):
        with pytest.raises(PolicyUnavailable):
            await engine.decide(asks("a"))
    await engine.close()


def test_the_unchecked_call_is_there() -> None:
    """The pinned wasmtime-py has the private surface the fast call needs; if this fails, the public call is used everywhere."""
    assert SUPPORTED


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
ECHO = 'package stagewarden.main\n\nverdict := {"input": input, "data": data.registry}\n'


def echo(maker: Any) -> Instance:
    """A running policy that answers with what it was asked, and its data."""
    program = Program(rego(ECHO).wasm, MEMORY)
    abilities = Abilities.read(*Instance(program, Abilities(-1, {}), {}, 1 << 30, maker).describe())
    return Instance(program, abilities, {"registry": REGISTRY}, 1 << 30, maker)


@pytest.fixture
def fresh() -> Iterator[None]:
    """No machine code is remembered from before, and none stays for others."""
    compiling._compiled.cache_clear()
    yield
    compiling._compiled.cache_clear()


@pytest.mark.usefixtures("fresh")
async def test_a_policy_is_compiled_once_in_a_process_and_outside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler's memory is not ours; another decider of the same policy, as after a reload, costs no compiling; another policy does."""
    asked: list[list[str]] = []
    run = subprocess.run

    def counted(command: list[str], **options: Any) -> subprocess.CompletedProcess[bytes]:
        asked.append(command)
        return run(command, **options)

    monkeypatch.setattr(subprocess, "run", counted)
    monkeypatch.setattr(compiling, "Module", Deserialized)
    for policy in (AGENTS, AGENTS, SAYS):
        engine = await decider(rego(policy))
        await engine.close()
    assert len(asked) == 2


class Deserialized:
    """Stands where `Module` is, and compiles nothing."""

    deserialize = staticmethod(wasmtime.Module.deserialize)

    def __init__(self, *_: object) -> None:
        raise AssertionError("compiled in this process")


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["/nowhere/python"], id="no-process"),
        pytest.param([sys.executable, "-c", "raise SystemExit(1)"], id="it-failed"),
        pytest.param([sys.executable, "-c", "print('not machine code')"], id="not-for-this-processor"),
    ],
)
async def test_where_another_process_does_not_compile_it_this_one_does(monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    """A container that starts no processes, or an emulator, has its policy all the same."""
    run = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda _, **options: run(command, **options))
    engine = await decider(rego(AGENTS))
    assert isinstance(await engine.decide(asks("a")), Allow)
    await engine.close()


@pytest.mark.usefixtures("fresh")
def test_what_is_wrong_with_a_module_is_said_though_another_process_found_it() -> None:
    """The compiler's own words, as a refusal of the policy."""
    with pytest.raises(ConfigError, match="holds no valid Wasm"):
        Program(b"\0asm\1\0\0\0\xff", MEMORY)


@pytest.fixture(scope="module")
def echoes() -> tuple[Instance, Instance]:
    """One instance with each call."""
    return echo(UncheckedCall), echo(PublicCall)


@settings(max_examples=100, deadline=None)
@given(question=JSON)
def test_public_and_unchecked_call_agree(echoes: tuple[Instance, Instance], question: Any) -> None:
    """The same question gives the same bytes by both calls, on stores that live on from example to example."""
    one, other = echoes
    text = orjson.dumps(question)
    assert one.evaluate(text) == other.evaluate(text)


def test_a_dropped_instance_frees_its_store() -> None:
    """wasmtime-py keeps host functions in a global: they must not keep the instance alive."""
    made = echo(UncheckedCall)
    store, gone = weakref.ref(made._store), weakref.ref(made)
    del made
    gc.collect()
    assert gone() is None
    assert store() is None
