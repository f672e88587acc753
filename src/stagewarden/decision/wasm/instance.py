"""One running policy: a store with its own memory, the registry loaded once, one question after another.

An evaluation gets a fixed amount of fuel and a capped memory, starts from the same heap pointer, and leaves nothing for the
next. After a trap the store is `spent` and must be thrown away. One thread at a time.
"""

from __future__ import annotations

import ctypes
import weakref
from typing import TYPE_CHECKING, NoReturn

import orjson
from wasmtime import Func, FuncType, Limits, Memory, MemoryType, Store, Trap, TrapCode, ValType, WasmtimeError
from wasmtime import Instance as WasmInstance

from stagewarden.decision.wasm.builtins import NotFaithful, Undefined
from stagewarden.decision.wasm.calls import best, fueling
from stagewarden.decision.wasm.program import EXPORTS, IMPORTS, PAGE, refused
from stagewarden.errors import PolicyUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmtime import Module

    from stagewarden.decision.wasm.calls import Maker
    from stagewarden.decision.wasm.program import Abilities, Program
    from stagewarden.model import JSON, Document

MAX_RESULT = 64 << 10
LOAD_FUEL = 1 << 40  # loading runs OPA's parser, not the policy: bounded by memory, not by time
_FIRST_READ = 4096
_JSON = 0  # opa_eval's format: a JSON string
_ALIGN = 16


class Aborted(Exception):
    """The policy gave up: a conflict between rules, or no memory left."""


class Unreadable(Exception):
    """A string of the policy's that lies outside its memory or past the bound."""


FAILURES = (Trap, WasmtimeError, Aborted, Unreadable, NotFaithful)


class Instance:
    """Evaluates questions against one `data` document."""

    def __init__(self, program: Program, abilities: Abilities, document: Document, fuel: int, maker: Maker | None = None) -> None:
        """Raises ConfigError when `document` does not fit, or the module is not OPA's. Heavy: 1 ms, and 15 ms per MB of `document`."""
        self.spent = False
        self._abilities = abilities
        self._fuel = fuel
        self._limit = program.memory
        self._store = Store(program.engine)
        self._store.set_limits(memory_size=program.memory, instances=1, memories=1, tables=1)
        self._store.set_fuel(LOAD_FUEL)
        self._fuel_up = fueling(self._store)
        self._memory = Memory(self._store, MemoryType(Limits(program.pages, program.memory // PAGE)))
        # All the memory this instance may ever have; it never moves (Config.memory_may_move), and what lies past `_size` is never touched.
        base = ctypes.addressof(self._memory.data_ptr(self._store).contents)
        self._bytes = memoryview((ctypes.c_char * program.memory).from_address(base)).cast("B")
        self._size = self._memory.data_len(self._store)
        call = maker or best()
        try:
            exports = WasmInstance(self._store, program.module, self._imports(program.module)).exports(self._store)
            functions = {name: exports[name] for name in EXPORTS}
            self._calls = {name: call(self._store, func, EXPORTS[name]) for name, func in functions.items() if isinstance(func, Func)}
            self._eval = self._calls["opa_eval"]
            self._data = self._load(document)
            self._heap = self._aligned(self._calls["opa_heap_ptr_get"]())
        except FAILURES as error:
            raise refused(f"cannot be loaded with this registry: {_first_line(error)}", "raise policy.memory or mend the registry") from None

    def describe(self) -> tuple[str, str]:
        """The module's own words on the built-ins it needs and the entrypoints it has, as JSON."""
        self._store.set_fuel(LOAD_FUEL)
        return self._dumped(self._calls["builtins"]()).decode(), self._dumped(self._calls["entrypoints"]()).decode()

    def evaluate(self, question: bytes) -> bytes:
        """The JSON list of results for a question in JSON; raises PolicyUnavailable (`spent` says whether the store survived).

        1. The question goes to where the data ends, the heap after it: nothing of the last evaluation is left.
        2. Fuel is set anew; running dry is cause "timeout". Memory cannot pass the cap.
        3. The result is read inside the memory's bounds, at most 64 KiB of it.
        """
        end = self._heap + len(question)
        if end >= self._size:
            self._grow(end)
        self._bytes[self._heap : end] = question
        self._fuel_up(self._fuel)
        try:
            at = self._eval(0, self._abilities.entrypoint, self._data, self._heap, len(question), self._aligned(end), _JSON)
        except FAILURES as error:
            self._give_up(error)
        try:
            return self._read(at)
        except Unreadable as error:
            raise PolicyUnavailable(f"the policy's answer cannot be read: {error}") from None

    def _give_up(self, error: Exception) -> NoReturn:
        self.spent = True
        if isinstance(error, Trap) and error.trap_code is TrapCode.OUT_OF_FUEL:
            raise PolicyUnavailable("the policy ran longer than its deadline allows", cause="timeout") from error
        raise PolicyUnavailable(f"the policy failed: {_first_line(error)}") from error

    def _grow(self, end: int) -> None:
        try:
            self._memory.grow(self._store, (end - self._size) // PAGE + 1)
        except WasmtimeError:
            raise PolicyUnavailable("the question does not fit into policy.memory") from None
        self._size = self._memory.data_len(self._store)

    def _read(self, at: int, limit: int = MAX_RESULT) -> bytes:
        """The string at an address, up to its NUL; bounded by the memory and by `limit`."""
        for length in (_FIRST_READ, limit):
            if at + length > self._size:
                self._size = self._memory.data_len(self._store)
            length = min(length, self._size - at)  # noqa: PLW2901  # what there is
            if at <= 0 or length <= 0:
                break
            text = self._bytes[at : at + length].tobytes()
            end = text.find(b"\0")
            if end >= 0:
                return text[:end]
        raise Unreadable(f"it is longer than {limit} bytes or lies outside the memory")

    def _load(self, document: Document) -> int:
        text = orjson.dumps(document)
        value = self._parsed(text)
        if value == 0:
            raise Aborted("its data is not JSON to OPA")
        return value

    def _parsed(self, text: bytes) -> int:
        at = self._calls["opa_malloc"](len(text))
        if at <= 0 or at + len(text) > self._memory.data_len(self._store):
            raise Aborted("no memory left")
        self._bytes[at : at + len(text)] = text
        return self._calls["opa_json_parse"](at, len(text))

    def _dumped(self, value: int) -> bytes:
        return self._read(self._calls["opa_json_dump"](value), self._limit)

    def _imports(self, module: Module) -> list[Func | Memory]:
        return [self._memory if item.name == "memory" else self._host(str(item.name)) for item in module.imports]

    def _host(self, name: str) -> Func:
        """A host function. wasmtime-py keeps it in a global until the store dies, so it must not keep this instance alive."""
        here = weakref.ref(self)

        def abort(at: int) -> None:
            instance = here()
            raise Aborted(instance._read(at).decode(errors="replace") if instance else "gone")  # noqa: SLF001  # our own

        def silent(_at: int) -> None:
            """`print` says nothing: a policy's output is its verdict."""

        def builtin(number: int, _context: int, *values: int) -> int:
            instance = here()
            assert instance is not None  # it is running
            return instance._builtin(number, values)  # noqa: SLF001  # our own

        hosts: dict[str, Callable[..., int | None]] = {"opa_abort": abort, "opa_println": silent}
        result = [] if name in hosts else [ValType.i32()]
        return Func(self._store, FuncType([ValType.i32()] * IMPORTS[name], result), hosts.get(name, builtin))

    def _builtin(self, number: int, values: tuple[int, ...]) -> int:
        function = self._abilities.builtins.get(number)
        if function is None:
            raise NotFaithful(f"built-in {number} was not announced")
        arguments: list[JSON] = [orjson.loads(self._dumped(value)) for value in values]
        result = function(*arguments)
        return 0 if isinstance(result, Undefined) else self._parsed(orjson.dumps(result))

    @staticmethod
    def _aligned(address: int) -> int:
        return (address + _ALIGN - 1) // _ALIGN * _ALIGN


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
