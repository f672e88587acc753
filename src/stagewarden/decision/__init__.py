"""Judging: one question to the policy, one verdict parsed strictly, by Wasm in process or by an OPA server.

Never turns an error into a verdict: what is not understood raises PolicyUnavailable, and the gate answers no.
"""

from __future__ import annotations

from stagewarden.decision.bundle import Bundle
from stagewarden.decision.cache import require_timeless
from stagewarden.decision.decider import Decider
from stagewarden.decision.engine import cached, load_bundle, make
from stagewarden.decision.wasm import WasmDecider

__all__ = ["Bundle", "Decider", "WasmDecider", "cached", "load_bundle", "make", "require_timeless"]
