"""What `stagewarden login` gave: a file for each listener, its owner's alone. A token goes to the listener it came from, and nowhere else."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from stagewarden.cli.exits import Finding
from stagewarden.config import Places

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_MOST = 1 << 16


@dataclass(frozen=True, slots=True)
class Login:
    """Who is signed in where, until when (RFC 3339); the server decides whether it still is."""

    url: str
    person: str
    expires_at: str
    token: str = field(repr=False)


def of(url: str) -> Login | None:
    """What was kept for this listener. Raises Finding for a file that others can read: its token is not a secret any more."""
    path = _path(url)
    try:
        with path.open("rb") as handle:
            mode = os.fstat(handle.fileno())
            if mode.st_mode & _OTHERS or mode.st_uid != os.getuid():
                raise Finding(f"{path} is not its owner's alone; `stagewarden logout`, then sign in again")
            found = json.loads(handle.read(_MOST))
        login = Login(**found)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError):
        raise Finding(f"{path} does not read; remove it and sign in again") from None
    return login if login.url == _name(url) else None


def keep(url: str, person: str, expires_at: str, token: str) -> None:
    """In place of what was there, whole or not at all."""
    path = _path(url)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent)  # 0600
    with os.fdopen(handle, "w") as file:
        json.dump(asdict(Login(_name(url), person, expires_at, token)), file)
        file.flush()
        os.fsync(file.fileno())
    Path(name).replace(path)


def forget(url: str) -> None:
    """Here; the server is told by whoever calls."""
    _path(url).unlink(missing_ok=True)


def _name(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def _path(url: str) -> Path:
    return Places.of().state / "logins" / f"{hashlib.sha256(_name(url).encode()).hexdigest()[:32]}.json"
