"""What a test needs beyond Python: one table of name → how to see it, how to install it.

Absent on a contributor's machine: the test is skipped with the one line that installs it. Absent under `CI=true`: the
test fails, so that nothing is skipped unseen. Must never install anything itself.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

_SBIN = ("/usr/sbin", "/usr/local/sbin")  # where servers lie, and not on everybody's PATH


@dataclass(frozen=True, slots=True)
class Need:
    """Any one of `commands` (on PATH) or `paths` will do, and all of `besides` must be there; `install` is one line."""

    install: str
    commands: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    besides: tuple[str, ...] = ()

    def find(self) -> Path | None:
        """Where it is, or None."""
        if not all(shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), *_SBIN))) for name in self.besides):
            return None
        found = next((where for name in self.commands if (where := shutil.which(name))), None)
        if found is not None:
            return Path(found)
        return next((path for text in self.paths if (path := Path(text).expanduser()).exists()), None)


NEEDS = {
    "opa": Need("stagewarden opa install", commands=("opa",), paths=("~/.cache/stagewarden/opa/1.22.0/opa", "~/go/bin/opa")),
    "chromium": Need("apt-get install chromium", commands=("chromium", "chromium-browser", "google-chrome")),
    "axe-core": Need(
        "npm install --prefix ~/.cache/stagewarden/axe axe-core@4.14.1",
        paths=("~/.cache/stagewarden/axe/node_modules/axe-core/axe.min.js",),
    ),
    "promtool": Need("apt-get install prometheus", commands=("promtool",)),
    "slowhttptest": Need("apt-get install slowhttptest", commands=("slowhttptest",)),
    "oidc-provider": Need(
        "npm install --prefix ~/.cache/stagewarden/oidc oidc-provider@9.13.3",
        paths=("~/.cache/stagewarden/oidc/node_modules/oidc-provider/package.json",),
        besides=("node",),
    ),
    "postgresql": Need(
        "apt-get install postgresql postgresql-client",
        commands=("postgres",),
        paths=tuple(map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres")))),
    ),
    "wordpress": Need(
        "apt-get install wordpress php-cli php-mysql php-curl php-xml php-mbstring mariadb-server",
        paths=("/usr/share/wordpress/wp-includes/version.php",),
        besides=("php", "mariadbd", "mariadb-install-db"),
    ),
}


def needs(name: str) -> Path:
    """Where `name` is; skips the test when it is absent, and fails it under `CI=true`."""
    need = NEEDS[name]
    found = need.find()
    return found if found is not None else _absent(name, need)


def _absent(name: str, need: Need) -> NoReturn:
    message = f"needs {name}: {need.install}"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
