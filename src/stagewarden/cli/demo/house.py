"""The demo's house: a folder with configuration, registry and fresh secrets, written from what the package carries."""

from __future__ import annotations

import secrets
import socket
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

import yaml

from stagewarden.identity.keys import new_key
from stagewarden.identity.passwords import hash_password

if TYPE_CHECKING:
    from pathlib import Path

AGENT = "drafter"
PEOPLE = ("ines", "tomas", "lena")


@dataclass(frozen=True, slots=True)
class House:
    """Where it is, and the secrets that only the demo may know."""

    config: Path
    key: str
    passwords: dict[str, str]


def write(folder: Path, newsroom: str, *, drafter: str, publisher: str, today: str) -> House:
    """Write the house; ports that are taken are replaced by free ones."""
    config = folder / "stagewarden.yaml"
    text = _packaged("stagewarden.yaml").replace("http://127.0.0.1:9000", newsroom)
    for port in (8080, 8081, 8082):
        if not _is_free(port):
            text = text.replace(f"127.0.0.1:{port}", "127.0.0.1:0")
    config.write_text(text)
    (folder / "registry.yaml").write_text(_packaged("registry.yaml").replace("@TODAY@", today))
    key, key_hash = new_key(AGENT)
    passwords = {person: "-".join(secrets.token_hex(2) for _ in range(3)) for person in PEOPLE}
    _private(folder / "agent-keys.yaml", yaml.safe_dump({AGENT: key_hash}))
    _private(folder / "people.yaml", yaml.safe_dump({person: hash_password(password) for person, password in passwords.items()}))
    _private(folder / "holds.key", secrets.token_hex(32))
    (folder / "secrets").mkdir(mode=0o700)
    _private(folder / "secrets" / "drafter", f"Bearer {drafter}")
    _private(folder / "secrets" / "publisher", f"Bearer {publisher}")
    return House(config, key, passwords)


def _packaged(name: str) -> str:
    return (resources.files("stagewarden.cli.demo") / "house" / name).read_text()


def _private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(f"{text}\n")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
