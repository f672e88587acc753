"""`init DIR`: a working sandbox to start from, with fresh keys, tokens and passwords, each shown once.

Never writes into a folder that holds anything, and leaves nothing half-written: everything is made beside it and moved there in one step.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import click
import yaml

from stagewarden import config as configuration
from stagewarden import registry as registries
from stagewarden.cli.examples import examples
from stagewarden.cli.exits import Finding
from stagewarden.clock import NANOSECONDS, SystemClock, rfc3339
from stagewarden.identity.keys import new_key
from stagewarden.identity.passwords import hash_password
from stagewarden.identity.tokens import new_token

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from stagewarden.clock import Clock
    from stagewarden.registry import Registry

TEMPLATES = ("newsletter", "wordpress")
TOKEN_DAYS = 30
_DAY = 86400 * NANOSECONDS
_IGNORED = (
    "# Secrets and what the sidecar writes: never commit them.\n*.key\nagent-keys.yaml\npeople*.yaml\nsecrets/\nstate.db*\nstops.json*\naudit/\n"
)


class Occupied(Exception):
    """The folder holds something."""


@dataclass(slots=True)
class Shown:
    """What is printed once: (whose, what, secret)."""

    rows: list[tuple[str, str, str]] = field(default_factory=list)


@click.command(epilog=examples("init house", "init house --template wordpress"))
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@click.option("--template", type=click.Choice(TEMPLATES), default="newsletter", show_default=True, help="What to start from.")
def init(directory: Path, template: str) -> None:
    """Write a sandbox to start from into DIRECTORY.

    DIRECTORY must be new or empty. Keys, tokens and passwords are made anew and shown once.
    """
    try:
        shown = write(directory, template, SystemClock())
    except Occupied:
        raise Finding(f"{directory} is not empty: nothing was written; name a new folder") from None
    except OSError as error:
        raise Finding(f"{directory} cannot be written: {error.strerror}; nothing was left behind") from None
    for whose, what, secret in shown.rows:
        click.echo(f"{whose:<10} {what:<10} {secret}")
    click.echo("\nThese are shown once; they are kept in secrets/agents/ and, as this is a sandbox, in secrets/people/ (mode 0600).")
    click.echo(f"Next: stagewarden check --config {directory / 'stagewarden.yaml'}; the top of that file says how to go on.")


def write(directory: Path, template: str, clock: Clock) -> Shown:
    """Steps: (1) nothing is there; (2) all of it in a new folder beside; (3) move it into place, or leave nothing.

    Raises Occupied where DIRECTORY holds something, OSError where it cannot be written.
    """
    directory = directory.absolute()
    if directory.exists() and any(directory.iterdir()):
        raise Occupied
    directory.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
        shown = _fill(beside, resources.files("stagewarden") / "templates" / template, clock.now_ns())
        beside.rename(directory)  # an empty folder gives way; one that was filled meanwhile does not
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return shown


def _fill(folder: Path, template: Traversable, now_ns: int) -> Shown:
    today = rfc3339(now_ns)[:10]
    for name in ("stagewarden.yaml", "registry.yaml"):
        (folder / name).write_text((template / name).read_text(encoding="utf-8").replace("@TODAY@", today), encoding="utf-8")
    (folder / ".gitignore").write_text(_IGNORED, encoding="utf-8")
    for part in ("secrets", "secrets/agents", "secrets/people"):
        (folder / part).mkdir(mode=0o700)
    config = configuration.load(folder / "stagewarden.yaml")
    registry = registries.load(folder / config.registry)
    shown = Shown()
    _private(folder / "holds.key", secrets.token_hex(32))
    _agents(folder, registry, shown)
    _people(folder, registry, rfc3339(now_ns // NANOSECONDS * NANOSECONDS + TOKEN_DAYS * _DAY), shown)
    for upstream in config.upstreams.values():
        for credential in upstream.credentials.values():
            name = credential.value.reference.removeprefix("file:")
            given = template / name
            _private(folder / name, given.read_text(encoding="utf-8").rstrip() if given.is_file() else f"Bearer {secrets.token_urlsafe(32)}")
    return shown


def _agents(folder: Path, registry: Registry, shown: Shown) -> None:
    """A key for each agent that is known by one; the file the sidecar reads has only its SHA-256."""
    hashes: dict[str, str] = {}
    for name, agent in registry.data.agents.items():
        if agent.identity.key is not None:
            key, hashes[agent.identity.key] = new_key(agent.identity.key)
            _private(folder / "secrets" / "agents" / f"{agent.identity.key}.key", key)
            shown.rows.append((name, "key", key))
    _private(folder / "agent-keys.yaml", yaml.safe_dump(hashes, default_style='"').rstrip())


def _people(folder: Path, registry: Registry, expires: str, shown: Shown) -> None:
    """A password for the console and a token for the terminal, for each person who is here."""
    users: dict[str, str] = {}
    tokens: list[dict[str, str]] = []
    for name, person in registry.data.people.items():
        if not person.active:
            continue
        password = "-".join(secrets.token_hex(2) for _ in range(4))
        token, fingerprint = new_token()
        users[name] = hash_password(password)
        tokens.append({"sha256": fingerprint, "person": name, "expires": expires})
        for what, secret in (("password", password), ("token", token)):
            _private(folder / "secrets" / "people" / f"{name}.{what}", secret)
            shown.rows.append((name, what, secret))
    _private(folder / "people.yaml", yaml.safe_dump(users, default_style='"', sort_keys=False).rstrip())
    _private(folder / "people-tokens.yaml", yaml.safe_dump(tokens, default_style='"', sort_keys=False, width=200).rstrip())


def _private(path: Path, text: str) -> None:
    """A file for us alone, from its first byte on."""
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(f"{text}\n", encoding="utf-8")
