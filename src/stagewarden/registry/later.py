"""Registry keys of governance section 1 whose feature is not in this release: refused by name, never ignored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stagewarden.config.later import Later
from stagewarden.registry import shapes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stagewarden.model import JSON

_EMPTY: tuple[JSON, ...] = (None, {}, [])

REGISTRY: Mapping[tuple[type, str], Later] = {
    (shapes.RegistryData, "connectors"): Later("connectors", "remove the section; an agent's workflows say what it may do", _EMPTY),
    (shapes.RegistryData, "exceptions"): Later("exceptions with an expiry", "remove the section; nothing is excepted", _EMPTY),
    (shapes.Workflow, "confidence"): Later("limits on asserted confidence", harmless=_EMPTY),
    (shapes.Workflow, "sampling"): Later("sampling", "remove the key; what is allowed is recorded", _EMPTY),
    (shapes.Workflow, "thresholds"): Later("thresholds that tighten an agent's mode", "remove the key; people pause an agent", _EMPTY),
    (shapes.Workflow, "reviews"): Later("periodic reviews", harmless=_EMPTY),
    (shapes.Workflow, "rollout"): Later("rollout stages", "remove the key; it runs in full"),
    (shapes.Agent, "releases"): Later("releases of an agent (model, prompt, tools)", harmless=_EMPTY),
}
