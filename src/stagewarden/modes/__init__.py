"""Stopping: kills, and the modes of agents, in one durable local file that works with policy, state and network down."""

from stagewarden.modes.modes import LOOK_AGAIN, Modes
from stagewarden.modes.orders import MODES, RANK, STOPPING, Change, Kill, NotDurable, StoredMode, Terms, parse_scope, scopes
from stagewarden.modes.shared import CHANNEL, Shared

__all__ = [
    "CHANNEL",
    "LOOK_AGAIN",
    "MODES",
    "RANK",
    "STOPPING",
    "Change",
    "Kill",
    "Modes",
    "NotDurable",
    "Shared",
    "StoredMode",
    "Terms",
    "parse_scope",
    "scopes",
]
