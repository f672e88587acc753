"""The registry: people, workflows, agents, destinations, tiers and triggers as frozen values, its lint, and the cross checks.

An unreadable or blank registry refuses to load; nothing is guessed.
"""

from stagewarden.registry.check import PLACEHOLDER, check
from stagewarden.registry.lint import lint
from stagewarden.registry.load import load
from stagewarden.registry.registry import Registry
from stagewarden.registry.shapes import (
    Actions,
    Agent,
    AgentIdentity,
    AgentOwners,
    Approval,
    Attested,
    Capabilities,
    Destination,
    Fields,
    Owners,
    PatternTrigger,
    Person,
    PersonIdentity,
    Process,
    RegistryData,
    Risk,
    Rollback,
    Scope,
    Signal,
    SignalRule,
    TierRule,
    TierSeat,
    Triggers,
    Workflow,
)
from stagewarden.registry.widening import Widening, widenings

__all__ = [
    "PLACEHOLDER",
    "Actions",
    "Agent",
    "AgentIdentity",
    "AgentOwners",
    "Approval",
    "Attested",
    "Capabilities",
    "Destination",
    "Fields",
    "Owners",
    "PatternTrigger",
    "Person",
    "PersonIdentity",
    "Process",
    "Registry",
    "RegistryData",
    "Risk",
    "Rollback",
    "Scope",
    "Signal",
    "SignalRule",
    "TierRule",
    "TierSeat",
    "Triggers",
    "Widening",
    "Workflow",
    "check",
    "lint",
    "load",
    "widenings",
]
