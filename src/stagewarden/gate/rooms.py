"""What the gate works with, wired once by app.py. The reloadable parts are replaced whole, never changed in place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stagewarden.errors import CannotTell
from stagewarden.gate.feed import Feed
from stagewarden.gate.inflight import Alone
from stagewarden.gate.question import Circumstances
from stagewarden.gate.streams import Streams
from stagewarden.model import Deny
from stagewarden.modes import scopes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stagewarden.audit.remote import Log
    from stagewarden.classify import RouteTable
    from stagewarden.clock import Clock
    from stagewarden.config import Config
    from stagewarden.decision import Decider
    from stagewarden.gate.inflight import Places
    from stagewarden.gate.locks import Locks
    from stagewarden.gate.record import Recorder
    from stagewarden.gate.sending import Sender
    from stagewarden.gate.stops import Stops
    from stagewarden.grants import Grants
    from stagewarden.holds import Holds
    from stagewarden.identity.agents import AgentIdentities
    from stagewarden.model import Action, Hold, Ruling, Stage
    from stagewarden.modes import Modes, Shared
    from stagewarden.notify import Ledger
    from stagewarden.registry import Registry
    from stagewarden.store import Store
    from stagewarden.wire.spool import Spools

_ALONE = Alone()


def _nobody() -> None:
    """Nobody delivers here."""


@dataclass(slots=True)
class Rooms:
    """Everything the gate asks. `registry` is replaced on reload, after the decider has loaded it."""

    config: Config
    registry: Registry
    clock: Clock
    identities: AgentIdentities
    routes: RouteTable
    decider: Decider
    holds: Holds
    grants: Grants
    modes: Modes
    sender: Sender
    recorder: Recorder
    assets: Locks
    stops: Stops
    log: Log
    store: Store
    spools: Spools
    ledger: Ledger
    places: Places = _ALONE
    shared: Shared | None = None  # where replicas share the stops, in the process that follows them
    streams: Streams = field(default_factory=Streams)
    feed: Feed = field(default_factory=Feed)
    signals: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # workflow → what its reviews look like; replaced by the watch
    deliver_now: Callable[[], None] = _nobody  # wakes who delivers notifications here

    def circumstances(self, agent: str, workflow: str | None) -> Circumstances:
        """What stands at this moment, the agent's mode included: one that is no stop is the policy's to answer for."""
        review = self.signals.get(workflow or "", ())
        return Circumstances(self.clock.now_ns(), self.registry.revision, self.config.environment, self.mode(agent), review)

    def mode(self, agent: str) -> str:
        """The stricter of the registry's and the stored mode; an agent nobody registered counts as active and is the policy's to deny."""
        entry = self.registry.data.agents.get(agent)
        return self.modes.mode_of(agent, entry.mode if entry else "active")

    def stopped(self, agent: str, workflow: str | None, upstream: str | None, stage: Stage | None = None) -> Deny | None:
        """Whether anything stops this, as of now; asked again immediately before the first byte."""
        entry = self.registry.data.agents.get(agent)
        mode = entry.mode if entry else "active"
        return self.modes.stop(agent=agent, workflow=workflow, upstream=upstream, stage=stage, registry_mode=mode)

    def stopped_since_approved(self, hold: Hold) -> Deny | None:
        """Whether anything stops this hold, or has since it was approved: what was lifted meanwhile revives nothing."""
        stop = self.stopped(hold.agent, hold.workflow, hold.upstream, hold.stage)
        if stop is None and (past := self.modes.stopped_since(hold.approved_at_ns, scopes(hold.agent, hold.workflow, hold.upstream, hold.stage))):
            stop = Deny.by_gate(past.mode or "killed", f"Stopped by {past.subject} after it was approved")
        return stop

    def stopped_now(self, ruling: Ruling) -> Deny | None:
        """Whether anything stops what this ruling let go, as of now."""
        principal, action = ruling.principal, ruling.action
        assert principal is not None
        assert action is not None
        return self.stopped(principal.agent, principal.workflow, action.upstream, action.stage)

    def stopped_at_last(self, ruling: Ruling) -> Deny | None:
        """The last look before the first byte. That it cannot be told is no fault of the upstream's: 503, and nothing is sent."""
        try:
            return self.stopped_now(ruling)
        except CannotTell as failure:
            self.recorder.metrics.error(failure)
            return Deny.by_gate(failure.code, "Could not find out, so the answer is no", {"cause": type(failure).__name__})

    def is_external(self, destination: str) -> bool:
        """Anything but an internal destination leaves the house; an unknown one counts as leaving it."""
        entry = self.registry.data.destinations.get(destination)
        return entry is None or entry.channel != "internal"

    def lists(self, workflow: str | None, kinds: frozenset[str]) -> bool:
        """Whether the workflow lists any of these kinds as allowed or restricted."""
        entry = self.registry.data.workflows.get(workflow or "")
        return entry is not None and not kinds.isdisjoint((*entry.actions.allowed, *entry.actions.restricted))


def is_edit_of_asset(action: Action) -> bool:
    """An edit voids what people approved of the same asset."""
    return action.stage == "edit" and action.asset is not None and action.asset.id is not None
