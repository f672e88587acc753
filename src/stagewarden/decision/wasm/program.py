"""A bundle's policy, compiled once: what it may import, what it must export, which built-ins the host gives it.

Everything about the module is checked here, before any instance judges; a module that is not what OPA makes is refused as
a ConfigError by name. Never links WASI, and never gives a module more than one bounded memory.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wasmtime import ExportType, FuncType, ImportType, MemoryType, ValType, WasmtimeError

from stagewarden.decision.bundle import ENTRYPOINT
from stagewarden.decision.wasm import compiling
from stagewarden.decision.wasm.builtins import HOST
from stagewarden.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stagewarden.decision.wasm.builtins import Undefined
    from stagewarden.model import JSON

PAGE = 65_536
# Exports we call, and how many i32 each takes; each gives one i32. Checked because calls.py checks nothing.
EXPORTS = {
    "builtins": 0, "entrypoints": 0, "opa_malloc": 1, "opa_json_parse": 2, "opa_json_dump": 1, "opa_heap_ptr_get": 0, "opa_eval": 7,
}  # fmt: skip
# Imports we give. opa_abort ends the evaluation; opa_builtinN hands over N values.
IMPORTS = {"opa_abort": 1, "opa_println": 1, "opa_builtin0": 2, "opa_builtin1": 3, "opa_builtin2": 4, "opa_builtin3": 5, "opa_builtin4": 6}
_SILENT = frozenset({"opa_abort", "opa_println"})  # give nothing back


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a module says about itself: the number of our question, and the host's function for each built-in it needs."""

    entrypoint: int
    builtins: Mapping[int, Callable[..., JSON | Undefined]]

    @classmethod
    def read(cls, builtins: str, entrypoints: str) -> Abilities:
        """From the module's own JSON; raises ConfigError. Every built-in must be ours to give, and our question must be there."""
        needed = _numbers(builtins)
        missing = sorted(name for name in needed if name not in HOST)
        if missing:
            raise refused(f"needs built-ins this engine does not give: {', '.join(missing)}", "leave them out, or use `policy.engine: opa`")
        found = _numbers(entrypoints).get(ENTRYPOINT)
        if found is None:
            raise refused(f"does not answer {ENTRYPOINT}", "define `verdict` in package stagewarden.main")
        return cls(found, {number: HOST[name] for name, number in needed.items()})


class Program:
    """A compiled module with a cap on memory; immutable, shared by instances."""

    def __init__(self, wasm: bytes, memory: int) -> None:
        """Raises ConfigError. `memory` is the cap in bytes of one instance."""
        self.engine = compiling.engine()
        try:
            self.module = compiling.module(self.engine, wasm)
        except WasmtimeError as error:
            raise refused(f"holds no valid Wasm: {str(error).splitlines()[0]}") from None
        self.memory = memory
        # OPA 1.22 places constants past the minimum it declares. They come out of this file, so its length is room enough.
        self.pages = _check_imports(self.module.imports) + len(wasm) // PAGE + 1
        if self.pages * PAGE > memory:
            raise refused(f"asks for {self.pages * PAGE} bytes of memory, more than policy.memory", "raise policy.memory")
        _check_exports(self.module.exports)


def refused(message: str, remedy: str = "build it with `stagewarden policy build`") -> ConfigError:
    """The policy cannot run, and why."""
    return ConfigError((Problem("policy.wasm", 0, "policy.bundle", message, remedy),))


def _check_imports(imports: list[ImportType]) -> int:
    """The pages of memory the module declares."""
    pages = None
    for item in imports:
        kind = item.type
        if item.module == "env" and item.name == "memory" and isinstance(kind, MemoryType) and not kind.is_64:
            pages = kind.limits.min
        elif item.module != "env" or item.name not in IMPORTS or not _fits(kind, IMPORTS[item.name], 0 if item.name in _SILENT else 1):
            raise refused(f"imports {item.module}.{item.name}, which this engine does not give")
    if pages is None:
        raise refused("does not import env.memory")
    return pages


def _check_exports(exports: list[ExportType]) -> None:
    kinds = {item.name: item.type for item in exports}
    for name, arity in EXPORTS.items():
        if not _fits(kinds.get(name), arity, 1):
            raise refused(f"does not export {name} as OPA's ABI 1.2 has it", "build it with the OPA named by `stagewarden opa path`")


def _fits(kind: object, arity: int, results: int) -> bool:
    return isinstance(kind, FuncType) and kind.params == [ValType.i32()] * arity and kind.results == [ValType.i32()] * results


def _numbers(text: str) -> dict[str, int]:
    value = json.loads(text)
    if type(value) is not dict or not all(type(number) is int for number in value.values()):
        raise refused("says something else about itself than names and numbers")
    return value
