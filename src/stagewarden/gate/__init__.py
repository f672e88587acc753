"""The procedure. Every door makes a Request and calls the gate; the gate alone asks the rooms, records, and lets something leave."""

from stagewarden.gate.acts import Acts
from stagewarden.gate.judge import Judge, Passage
from stagewarden.gate.people import AgentView, HoldView, VoteIntent
from stagewarden.gate.record import Recorder
from stagewarden.gate.release import Releases
from stagewarden.gate.revisions import RegistryWaits, RevisionView
from stagewarden.gate.rooms import Rooms
from stagewarden.gate.sending import Relay, Sender
from stagewarden.gate.streams import Stopped

__all__ = [
    "Acts",
    "AgentView",
    "HoldView",
    "Judge",
    "Passage",
    "Recorder",
    "RegistryWaits",
    "Relay",
    "Releases",
    "RevisionView",
    "Rooms",
    "Sender",
    "Stopped",
    "VoteIntent",
]
