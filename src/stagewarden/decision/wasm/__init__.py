"""The Wasm engine: OPA-compiled policy in process, on wasmtime. Never asks anybody outside this process."""

from __future__ import annotations

from stagewarden.decision.wasm.decider import WasmDecider

__all__ = ["WasmDecider"]
