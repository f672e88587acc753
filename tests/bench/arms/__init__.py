"""The arms: what is compared, in the order of the table. One that lacks a part says how to install it and is left out."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.bench.arms import authorizers, mitmproxy, ours, passthrough
from tests.bench.arms.arm import Arm, Ground, Missing

if TYPE_CHECKING:
    from collections.abc import Callable

# short name → how it is started. The first is what the others are divided by, wherever it runs.
ARMS: dict[str, Callable[[Ground], Arm]] = {
    "aiohttp": passthrough.aiohttp,
    "wasm": ours.wasm,
    "repeated": ours.repeated,
    "batched": ours.batched,
    "opa": ours.opa,
    "nginx": passthrough.nginx,
    "nginx-auth": authorizers.nginx_auth_request,
    "envoy": passthrough.envoy,
    "plugin": partial(authorizers.envoy_plugin, log=False),
    "plugin-log": partial(authorizers.envoy_plugin, log=True),
    "plugin-bare": authorizers.envoy_plugin_bare,
    "ext-authz": partial(authorizers.envoy_stand_in, log=False),
    "ext-authz-log": partial(authorizers.envoy_stand_in, log=True),
    "mitmproxy": mitmproxy.mitmproxy,
}


def start(names: list[str], ground: Ground) -> list[Arm]:
    """Every arm of these that can run here; for the others the one line that would let it."""
    running = []
    for name in names:
        try:
            running.append(ARMS[name](ground))
        except Missing as absent:
            print(f"(left out: {name}: {absent})")
    return running
