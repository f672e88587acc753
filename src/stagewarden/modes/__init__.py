"""Stopping: kills, and the modes of agents, in one durable local file that works with policy, state and network down."""

from stagewarden.modes.modes import LOOK_AGAIN, MODES, Change, Kill, Modes, StoredMode, parse_scope

__all__ = ["LOOK_AGAIN", "MODES", "Change", "Kill", "Modes", "StoredMode", "parse_scope"]
