"""`agents key`: a new key for one agent. Its SHA-256 goes into the keys file; the key is shown once and kept nowhere.

The file is replaced in one step by one that differs in this agent alone, or stays as it was. Needs no running process.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

import click

from stagewarden import registry as registries
from stagewarden.cli.audit import printable
from stagewarden.cli.examples import examples
from stagewarden.cli.exits import Finding
from stagewarden.cli.people_api import FILE, load
from stagewarden.config import KeyIdentity, Secrets
from stagewarden.errors import ConfigError
from stagewarden.identity.keys import new_key, parse_keys

if TYPE_CHECKING:
    from pathlib import Path

    from stagewarden.config import Config

_PRIVATE = 0o600


@click.command("key", epilog=examples("agents key drafter --config stagewarden.yaml"))
@click.argument("agent", metavar="ID")
@click.option("--config", type=FILE, required=True, help="The configuration file that names registry and keys file.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def key(agent: str, config: Path, *, as_json: bool) -> None:
    """Make a new key for an agent, and show it once.

    The old one ends when the sidecar reloads.
    """
    loaded = load(config)
    try:
        key_id, file = _key_id(loaded, agent), _keys_file(loaded)
        made, digest = new_key(key_id)
        _put(file, key_id, digest)
    except ConfigError as failure:
        raise Finding(printable(str(failure))) from failure
    except (OSError, UnicodeDecodeError) as failure:
        raise Finding(f"{config.name}: the keys file cannot be replaced: {printable(str(failure))}; nothing changed") from failure
    if as_json:
        click.echo(json.dumps({"agent": agent, "key_id": key_id, "key": made, "file": str(file)}, indent=2))
    else:
        click.echo(made)
    click.echo(f"{file} has its SHA-256. Reload the sidecar (SIGHUP): then this key holds, and the one before is over.", err=True)
    if (loaded.base / "secrets" / "agents" / f"{key_id}.key").exists():
        click.echo(f"secrets/agents/{key_id}.key still has the old key: replace it, or remove it.", err=True)


def _key_id(config: Config, agent: str) -> str:
    """What the agent's keys are known by."""
    entry = registries.load(config.base / config.registry).data.agents.get(agent)
    if entry is None:
        raise Finding(f"{printable(agent)}: no such agent in the registry; nothing changed")
    if entry.identity.key is None:
        raise Finding(f"{printable(agent)}: the registry knows this agent by another identity than a key; nothing changed")
    return entry.identity.key


def _keys_file(config: Config) -> Path:
    references = [one.keys.reference for one in config.identity.agents if isinstance(one, KeyIdentity)]
    files = [reference for reference in references if not reference.startswith("env:")]
    if len(files) != 1:
        raise Finding(f"identity.agents names {len(files)} keys files, and one is needed; nothing changed")
    return Secrets(config.base).path(files[0])


def _put(file: Path, key_id: str, digest: str) -> None:
    """(1) Read, strictly. (2) One line changed or added, the others as they are. (3) Read as wanted. (4) In its place, durably, in one step."""
    seen = file.stat()
    before = file.read_text(encoding="utf-8")
    line = f'{key_id}: "{digest}"'
    pattern = re.compile(rf"""^(["']?){re.escape(key_id)}\1[ \t]*:.*$""", re.MULTILINE)
    after = pattern.sub(line, before, count=1) if pattern.search(before) else f"{before.rstrip()}\n{line}\n"
    wanted = {**(parse_keys(before, file.name) if before.strip() else {}), key_id: digest}
    if not _reads_as(after.lstrip("\n"), wanted):
        raise Finding(f"{file}: {key_id} is not on a line of its own; nothing changed")
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, _PRIVATE)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as opened:
            if os.geteuid() == 0:  # `sudo stagewarden agents key`: the sidecar must go on reading it
                os.fchown(opened.fileno(), seen.st_uid, seen.st_gid)
            opened.write(after.lstrip("\n"))
            opened.flush()
            os.fsync(opened.fileno())
        _still(file, seen)
        beside.replace(file)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _reads_as(text: str, wanted: dict[str, str]) -> bool:
    try:
        return dict(parse_keys(text, "")) == wanted
    except ConfigError:
        return False


def _still(file: Path, seen: os.stat_result) -> None:
    now = file.stat()
    if (now.st_ino, now.st_mtime_ns, now.st_size) != (seen.st_ino, seen.st_mtime_ns, seen.st_size):
        raise Finding(f"{file} was changed meanwhile; nothing changed here, run it again")
