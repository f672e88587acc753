"""The OPA program: found on PATH, then in our own cache; installed there in the pinned release.

A download is used only if its SHA-256 is pinned here; the other way is `go install`, which Go's checksum database
vouches for. Never runs a program it has fetched before it was verified, and never touches PATH.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
import urllib.request
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from stagewarden.errors import StagewardenError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stagewarden.config import Places

VERSION = "1.22.0"
RELEASES = f"https://github.com/open-policy-agent/opa/releases/download/v{VERSION}/"
MODULE = f"github.com/open-policy-agent/opa@v{VERSION}"
MAX_DOWNLOAD = 256 << 20
DEADLINE = 900.0  # seconds; `go install` compiles OPA

# (system, machine) → (file of the release, its SHA-256). A platform is downloaded for only when its line has been verified against the release.
PINNED: Mapping[tuple[str, str], tuple[str, str]] = MappingProxyType({})


class NoOpa(StagewardenError):
    """OPA is not here, or could not be had."""

    code = "opa_missing"


def find(places: Places) -> Path | None:
    """OPA on PATH, else in our cache."""
    found = shutil.which("opa", path=places.search)
    if found is not None:
        return Path(found)
    ours = cached(places)
    return ours if os.access(ours, os.X_OK) else None


def required(places: Places) -> Path:
    """OPA, or NoOpa with the line that installs it."""
    found = find(places)
    if found is None:
        raise NoOpa("no opa on PATH: run `stagewarden opa install`")
    return found


def cached(places: Places) -> Path:
    """Where `install` puts it."""
    return places.cache / "opa" / VERSION / "opa"


def fetch(url: str) -> bytes:
    """The bytes behind an https URL; at most MAX_DOWNLOAD."""
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310  # RELEASES is https
        data: bytes = answer.read(MAX_DOWNLOAD + 1)
    return data


def install(places: Places, pinned: Mapping[tuple[str, str], tuple[str, str]] = PINNED, get: Callable[[str], bytes] = fetch) -> Path:
    """The pinned release in our cache; raises NoOpa.

    1. Download, where a sum is pinned for this platform; a wrong sum ends it, with nothing kept.
    2. Else `go install` of the same version.
    3. The finished file is moved into place at once.
    """
    target = cached(places)
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    line = pinned.get((platform.system().lower(), platform.machine().lower()))
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        made = Path(scratch) / "opa"
        if line is not None:
            made.write_bytes(_verified(*line, get))
            made.chmod(0o700)
        else:
            _go_install(places, made.parent)
        made.replace(target)
    return target


def version(opa: Path) -> str:
    """What an OPA says it is, e.g. `1.22.0`; raises NoOpa."""
    for line in run(opa, "version").splitlines():
        if line.startswith("Version: "):
            return line.removeprefix("Version: ").strip()
    raise NoOpa(f"{opa} does not say its version")


def run(program: Path, *arguments: str, cwd: Path | None = None) -> str:
    """The output of one run; raises NoOpa when it cannot be started, and Failed with what it said when it ends badly."""
    try:
        done = subprocess.run([program, *arguments], cwd=cwd, capture_output=True, text=True, timeout=DEADLINE, check=False)  # noqa: S603  # no shell
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoOpa(f"{program} did not run: {error}") from None
    if done.returncode != 0:
        raise Failed((done.stderr or done.stdout).strip() or f"{program.name} {arguments[0]} ended with {done.returncode}")
    return done.stdout


class Failed(StagewardenError):
    """A run of OPA ended badly; the message is OPA's own."""

    code = "opa_failed"


def _verified(name: str, pinned: str, get: Callable[[str], bytes]) -> bytes:
    try:
        data = get(RELEASES + name)
    except OSError as error:
        raise NoOpa(f"{RELEASES}{name} could not be fetched: {error}") from None
    if hashlib.sha256(data).hexdigest() != pinned:
        raise NoOpa(f"{RELEASES}{name} is not the pinned release: its SHA-256 differs; nothing was installed")
    return data


def _go_install(places: Places, into: Path) -> None:
    tools = [shutil.which(name, path=places.search) for name in ("env", "go")]
    if None in tools:
        raise NoOpa(f"no checksum is pinned for this platform and there is no go: put opa {VERSION} on PATH, or install Go")
    env, go = (Path(str(tool)) for tool in tools)
    try:
        run(env, f"GOBIN={into}", "CGO_ENABLED=0", str(go), "install", MODULE)
    except Failed as error:
        raise NoOpa(f"go install {MODULE} failed: {error}") from None
