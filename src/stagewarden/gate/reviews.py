"""Rubber-stamp signals: what is told to whom, and what the policy is told (reference/governance.md C2.16).

To a person about themselves; of a workflow to its owners and security, without names. No list ever compares people. What follows from a
signal is the policy's to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stagewarden.config import units
from stagewarden.errors import NotAllowed
from stagewarden.gate.callers import Callers
from stagewarden.gate.people import OwnReviews, WorkflowReviews
from stagewarden.holds.signals import measure, signals

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stagewarden.gate.rooms import Rooms
    from stagewarden.identity.people import Caller
    from stagewarden.registry import Workflow

_OWNERS = ("business", "security", "privacy", "technical")


class Reviewed(Callers):
    """Reading how votes came about."""

    async def own_reviews(self, caller: Caller) -> OwnReviews:
        """The caller's own, over the registry's window."""
        if caller.person is None:
            raise NotAllowed("a program reviews nothing")
        rule = self._rooms.registry.data.signals
        measures = measure(await self._rooms.holds.reviews(units.seconds(rule.window), caller.person))
        return OwnReviews(measures, signals(measures, rule))

    async def workflow_reviews(self, caller: Caller) -> list[WorkflowReviews]:
        """Those of each workflow the caller answers for: its owners, and whoever holds security."""
        self._reads(caller)
        rule, workflows = self._rooms.registry.data.signals, self._rooms.registry.data.workflows
        mine = [name for name, workflow in sorted(workflows.items()) if self._answers_for(caller, workflow)]
        found = await self._rooms.holds.reviews(units.seconds(rule.window)) if mine else ()
        views: list[WorkflowReviews] = []
        for name in mine:
            measures = measure(review for review in found if review.workflow == name)
            shown = measures if measures.count >= rule.minimum else None
            views.append(WorkflowReviews(name, shown, signals(measures, rule), workflows[name].second_person))
        return views

    def _answers_for(self, caller: Caller, workflow: Workflow) -> bool:
        owners = {getattr(workflow.owners, name) for name in _OWNERS}
        return caller.person is not None and (caller.person in owners or "security" in self.functions(caller))


async def current(rooms: Rooms) -> Mapping[str, tuple[str, ...]]:
    """The signals of each registered workflow now; a workflow without any is left out."""
    rule = rooms.registry.data.signals
    found = await rooms.holds.reviews(units.seconds(rule.window))
    each = {name: signals(measure(review for review in found if review.workflow == name), rule) for name in rooms.registry.data.workflows}
    return {name: given for name, given in each.items() if given}
