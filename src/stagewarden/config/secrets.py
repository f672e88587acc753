"""Secrets and the files beside the configuration, read at start: the only place that looks at the environment.

A private file others can read is refused, as is a missing or empty one. Never repeats a secret in a message, keeps none.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from stagewarden.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stagewarden.config.units import File, Secret

MAX_SECRET = 1 << 20
KEY_BYTES = 32
_OTHERS = stat.S_IROTH | stat.S_IWOTH  # the owning group may read: orchestrators mount secrets that way


class Secrets:
    """Resolves `file:PATH` against the configuration's directory and `env:NAME` against the environment."""

    def __init__(self, base: Path, environ: Mapping[str, str] | None = None) -> None:
        self._base = base
        self._environ = os.environ if environ is None else environ

    def path(self, reference: str) -> Path:
        """The file a reference (`file:PATH` or a bare path) names; relative ones stand beside the configuration."""
        return self._base / Path(reference.removeprefix("file:"))

    def text(self, secret: Secret) -> str:
        """The secret, without its one trailing newline; raises ConfigError (missing, empty, not UTF-8, open to everybody)."""
        kind, _, place = secret.reference.partition(":")
        if kind == "env":
            value = self._environ.get(place)
            if value is None:
                raise _refused(secret.reference, "is not set", f"set the environment variable {place}, or name a file")
        else:
            value = self._file(secret.reference)
            value = value.removesuffix("\n").removesuffix("\r")
        if not value.strip():
            raise _refused(secret.reference, "is empty", "put the secret there")
        return value

    def known(self, secret: Secret) -> bool:
        """Whether there is anything to read: a variable that is set, or any file."""
        kind, _, place = secret.reference.partition(":")
        return kind != "env" or place in self._environ

    def public(self, file: File) -> str:
        """A file that is no secret, such as a certificate; raises ConfigError (missing, empty, not UTF-8, open to everybody's writing)."""
        value = self._file(file.reference, private=False)
        if not value.strip():
            raise _refused(file.reference, "is empty", "check that it is the right file")
        return value

    def key(self, secret: Secret) -> bytes:
        """A 256-bit key: 64 hexadecimal digits (`openssl rand -hex 32`) or base64 (`openssl rand -base64 32`)."""
        text = self.text(secret)
        try:
            key = bytes.fromhex(text) if len(text) == 2 * KEY_BYTES else base64.b64decode(text, validate=True)
        except (ValueError, binascii.Error):
            key = b""
        if len(key) != KEY_BYTES:
            raise _refused(secret.reference, "is not a 256-bit key", "make one with `openssl rand -hex 32`")
        if len(set(key)) < KEY_BYTES // 4:
            raise _refused(secret.reference, "is not random", "make one with `openssl rand -hex 32`")
        return key

    def _file(self, reference: str, *, private: bool = True) -> str:
        path = self.path(reference)
        try:
            with open(path, "rb", opener=_at_once) as handle:  # Path.open takes no opener
                mode = os.fstat(handle.fileno()).st_mode
                if not stat.S_ISREG(mode):
                    raise _refused(reference, "is not a regular file", "name a file")
                if mode & (_OTHERS if private else stat.S_IWOTH):
                    what, wanted = ("open to", "0600") if private else ("writable by", "0644")
                    raise _refused(reference, f"is {what} every user of this machine", f"chmod {wanted} {path.name}")
                data = handle.read(MAX_SECRET + 1)
        except OSError as error:
            raise _refused(reference, f"cannot be read: {error.strerror}", f"create {path}{', mode 0600' if private else ''}") from None
        if len(data) > MAX_SECRET:
            raise _refused(reference, f"is larger than {MAX_SECRET >> 20} MiB", "check that it is the right file")
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            raise _refused(reference, "is not UTF-8 text", "save it as UTF-8") from None


def _at_once(path: str, flags: int) -> int:
    """Opening a named pipe would otherwise wait for its writer, and the start with it."""
    return os.open(path, flags | os.O_NONBLOCK)


def _refused(reference: str, message: str, remedy: str) -> ConfigError:
    return ConfigError((Problem(reference, 0, "", message, remedy),))
