"""Small policies for tests: Rego compiled by OPA, and modules in Wasm's text form that OPA would never make."""

from __future__ import annotations

from functools import cache

import wasmtime

from stagewarden.decision.build import compile_rules
from stagewarden.decision.bundle import Bundle
from tests.needs import needs

BODY = '"tier": "low", "cacheable": false, "seats": [], "obligations": {}'
REASONS = '"reasons": [{"code": "stage_not_granted", "rule": "stagewarden.main", "text": "no"}]'
AGENTS = f"""package stagewarden.main

default verdict := {{"effect": "deny", {REASONS}, {BODY}}}

verdict := {{"effect": "allow", "reasons": [], {BODY}}} if data.registry.agents[input.principal.agent]
"""

_ABI = """
  (import "env" "opa_abort" (func $abort (param i32)))
  (import "env" "opa_builtin0" (func $builtin0 (param i32 i32) (result i32)))
  (import "env" "memory" (memory 2))
  (func (export "builtins") (result i32) (i32.const 8))
  (func (export "entrypoints") (result i32) (i32.const 16))
  (func (export "opa_malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "opa_json_parse") (param i32 i32) (result i32) (i32.const 1024))
  (func (export "opa_json_dump") (param i32) (result i32) (local.get 0))
  (func (export "opa_heap_ptr_get") (result i32) (i32.const 2048))
  (data (i32.const 8) "{}\\00")
  (data (i32.const 16) "{\\"stagewarden/main/verdict\\":0}\\00")
"""
_EVAL = '(func (export "opa_eval") (param i32 i32 i32 i32 i32 i32 i32) (result i32) %s)'


@cache
def rego(source: str) -> Bundle:
    """A bundle of one file; skips without OPA."""
    files = (("main.rego", source.encode()),)
    return Bundle(files, compile_rules(files, needs("opa")))


def module(evaluate: str, abi: str = _ABI) -> Bundle:
    """A bundle whose module looks like OPA's, with this body of `opa_eval`."""
    return Bundle((), bytes(wasmtime.wat2wasm(f"(module {abi} {_EVAL % evaluate})")))


def abi(old: str, new: str) -> str:
    """The module's frame with one part exchanged."""
    assert old in _ABI
    return _ABI.replace(old, new)
