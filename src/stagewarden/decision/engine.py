"""Two makers of one verb: how the configuration becomes a `Decider`.

Production refuses here what only a sandbox may do: an OPA without a token on TCP. Builds, but never starts judging: the
caller loads the registry and runs the self-test.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from stagewarden.decision import build, bundle, toolchain
from stagewarden.decision.cache import CachingDecider, require_timeless
from stagewarden.decision.wasm import WasmDecider
from stagewarden.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from stagewarden.clock import Clock
    from stagewarden.config import Config, Places, Secrets
    from stagewarden.decision.bundle import Bundle
    from stagewarden.decision.cache import Result
    from stagewarden.decision.decider import Decider

BUILTIN = "builtin"


def load_bundle(spec: str, base: Path, places: Places) -> Bundle:
    """`builtin`, a directory of Rego (compiled now, by OPA) or a bundle file; relative to `base`. Raises ConfigError."""
    if spec == BUILTIN:
        with resources.as_file(resources.files("stagewarden") / "bundle" / "stagewarden.tar.gz") as path:
            return bundle.read(path)
    path = base / spec
    if not path.is_dir():
        return bundle.read(path)
    try:
        return build.build(path, toolchain.required(places))
    except toolchain.NoOpa as error:
        raise _refused("policy.bundle", str(error), "or name a bundle.tar.gz made by `stagewarden policy build`") from None


def make(config: Config, secrets: Secrets, clock: Clock, loaded: Bundle) -> Decider:
    """The configured engine with this bundle (`load_bundle`); raises ConfigError."""
    policy = config.policy
    if policy.cache is not None:
        require_timeless(loaded)
    if policy.engine == "wasm":
        return WasmDecider(loaded, policy.deadline, policy.memory)
    # Only here: opa-python-client brings `requests` along, 6 MB that the Wasm engine does not need.
    from stagewarden.decision.opa import Address, OpaDecider  # noqa: PLC0415

    if policy.opa is None:
        raise _refused("policy.opa", "is missing although the engine is opa", "say where OPA listens: {url: unix:/run/opa/opa.sock}")
    try:
        address = Address.parse(policy.opa.url, Path(config.base))
    except ValueError as error:
        raise _refused("policy.opa.url", str(error), "for example unix:/run/opa/opa.sock") from None
    production = config.environment == "production"
    if production and address.socket is None and policy.opa.token is None:
        raise _refused("policy.opa.token", "is missing: over TCP any local program could answer or be asked", "set a token, or use a unix socket")
    token = None if policy.opa.token is None else secrets.text(policy.opa.token)
    return OpaDecider(address, loaded.revision, policy.deadline, clock, token=token, bundled=production)


def cached(decider: Decider, config: Config, clock: Clock, epoch: Callable[[], int], seen: Callable[[Result], None]) -> Decider:
    """The decider behind the configured cache; itself where none is."""
    settings = config.policy.cache
    return decider if settings is None else CachingDecider(decider, settings, clock, epoch, seen)


def _refused(key: str, message: str, remedy: str) -> ConfigError:
    return ConfigError((Problem("", 0, key, message, remedy),))
