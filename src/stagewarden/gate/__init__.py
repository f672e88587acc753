"""The procedure. Every door makes a Request and calls the gate; the gate alone asks the rooms, records, and lets something leave."""

from stagewarden.gate.acts import Acts
from stagewarden.gate.judge import Judge, Passage
from stagewarden.gate.people import AgentView, HoldView, VoteIntent
from stagewarden.gate.record import Recorder
from stagewarden.gate.release import Releases
from stagewarden.gate.rooms import Rooms
from stagewarden.gate.sending import Relay, Sender, Stopped

__all__ = ["Acts", "AgentView", "HoldView", "Judge", "Passage", "Recorder", "Relay", "Releases", "Rooms", "Sender", "Stopped", "VoteIntent"]
