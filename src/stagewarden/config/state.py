"""Where the state database is, as `state:` says it: SQLite by path, PostgreSQL by URL, or a secret that holds such a URL.

Parsed once, here; asks nothing of the network. No message repeats a URL: it may hold a password.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from stagewarden.config import units
from stagewarden.config.units import File, Misfit, Secret

SCHEMES: Final = ("postgresql", "postgres")
REMEDY: Final = "write sqlite:PATH, postgresql://USER@HOST/DATABASE, or where such a URL is kept: file:PATH or env:NAME"
_POSTGRESQL: Final = "write postgresql://USER@HOST:PORT/DATABASE?password=file:PATH&sslrootcert=file:PATH"
_PARAMETERS: Final = frozenset({"sslmode", "sslrootcert", "password", "host", "pool"})
_MODES: Final = ("verify-full", "disable")
_POOL: Final = re.compile(r"[1-9][0-9]{0,2}", re.ASCII)
MOST_CONNECTIONS: Final = 100
_PORT: Final = 5432


class Sqlite(msgspec.Struct, frozen=True):
    """`sqlite:PATH`, relative to the configuration file."""

    path: str


class Postgresql(msgspec.Struct, frozen=True, kw_only=True):
    """`postgresql://…`; `host` is a name, an address or the folder of a unix socket."""

    host: str
    port: int
    user: str
    database: str
    password: Secret | str | None = None
    verified: bool = True  # TLS, and the certificate is the host's
    authorities: File | None = None
    pool: int = 10  # connections at most, of one process

    @property
    def local(self) -> bool:
        """On this machine: nobody is on the way."""
        if self.host.startswith("/") or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __repr__(self) -> str:
        return f"Postgresql({self.host}:{self.port}/{self.database})"


State: TypeAlias = Sqlite | Postgresql | Secret


def parse(text: str) -> State:
    """What `state:` names. Raises Misfit."""
    scheme, colon, rest = text.partition(":")
    if scheme in {"file", "env"}:
        return units.secret(text)
    return database(scheme if colon else "", rest, text)


def is_sqlite(text: str) -> bool:
    """Whether it is one sidecar's alone."""
    return text.startswith("sqlite:")


def database(scheme: str, rest: str, text: str) -> Sqlite | Postgresql:
    """A URL itself. Raises Misfit."""
    if scheme in SCHEMES:
        return _postgresql(text)
    if scheme != "sqlite":
        raise Misfit("is not a state database", REMEDY)
    path = rest
    if path.startswith("//"):  # sqlite:///relative and sqlite:////absolute, as other tools write it
        path = path.removeprefix("///") if path.startswith("///") else ""
    if not path.strip() or path.startswith(":") or "?" in path or "#" in path or "\0" in path:
        raise Misfit("is not a state database", "write sqlite:PATH, as in sqlite:state.db, without host, `?` or `#`")
    return Sqlite(path)


def _postgresql(text: str) -> Postgresql:
    try:
        url = urlsplit(text)
        port = url.port or _PORT
        pairs = parse_qsl(url.query, keep_blank_values=True, strict_parsing=bool(url.query))
    except ValueError:
        raise Misfit("is not a PostgreSQL URL", _POSTGRESQL) from None
    given = dict(pairs)
    if len(given) != len(pairs) or url.fragment:
        raise Misfit("names a parameter twice, or has a fragment", _POSTGRESQL)
    if unknown := sorted(given.keys() - _PARAMETERS):
        raise Misfit(f"has the unknown parameter `{unknown[0]}`", f"known are {', '.join(sorted(_PARAMETERS))}")
    host, name = given.get("host") or url.hostname or "", unquote(url.path.removeprefix("/"))
    if not host or not url.username or not name or "/" in name:
        raise Misfit("lacks a host, a user or a database", _POSTGRESQL)
    place = Postgresql(host=host, port=port, user=unquote(url.username), database=name, password=_password(url.password, given.get("password")))
    mode = given.get("sslmode", "disable" if place.local else "verify-full")
    if mode not in _MODES:
        raise Misfit("has an sslmode that does not check whom it talks to", "write sslmode=verify-full; on this machine sslmode=disable")
    return msgspec.structs.replace(place, verified=mode == "verify-full", authorities=_authorities(given.get("sslrootcert")), pool=_pool(given))


def _password(written: str | None, reference: str | None) -> Secret | str | None:
    if written is not None and reference is not None:
        raise Misfit("has two passwords", "keep the one of `?password=file:PATH`")
    if reference is None:
        return None if written is None else unquote(written)
    return units.secret(reference)


def _authorities(reference: str | None) -> File | None:
    return None if reference is None else units.file(reference if reference.startswith("file:") else f"file:{reference}")


def _pool(given: dict[str, str]) -> int:
    text = given.get("pool", "10")
    if not _POOL.fullmatch(text) or int(text) > MOST_CONNECTIONS:
        raise Misfit("has a pool that is no number of connections", f"write pool=N, 1 to {MOST_CONNECTIONS}; 10 is the default")
    return int(text)
