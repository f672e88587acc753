"""The engine over an OPA server, on a unix socket, loopback or TLS."""

from __future__ import annotations

from stagewarden.decision.opa.connection import Address
from stagewarden.decision.opa.decider import OpaDecider

__all__ = ["Address", "OpaDecider"]
