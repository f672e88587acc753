"""A real PostgreSQL for tests: Debian's programs in a temporary folder, on a unix socket and a loopback port, as nobody when we are root.

One cluster for a whole run; each test gets a database of its own, copied from a template with our tables. What it may lose at power
loss is of no interest here (`fsync=off`); what it may lose by `kill -9` of a client or of itself is, and it loses none of that.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import pwd
import secrets
import shlex
import shutil
import subprocess
import tempfile
import threading
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg

from stagewarden.store import Store, locate
from stagewarden.store.tables import meta, metadata
from tests.needs import needs
from tests.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from tests.authority import Issued

T = TypeVar("T")

DATABASES = ("sqlite", "postgresql")
SQLITE, _STATE = "sqlite:state.db", "state.url"

USER, PASSWORD = "stagewarden", "correct-horse"
_OPTIONS = {
    "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200", "shared_buffers": "32MB",
    "autovacuum": "off", "max_wal_size": "512MB", "wal_level": "minimal", "max_wal_senders": "0",
}  # fmt: skip


def programs() -> Path:
    """The folder of initdb and pg_ctl."""
    found = needs("postgresql")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return folders[-1] if folders else found.resolve().parent


class Cluster:
    """A server with databases. `stop` and `start` as often as a test likes."""

    def __init__(self, *, auth: str = "scram-sha-256", tls: Issued | None = None, **options: str) -> None:
        self._bin = programs()
        self._free: list[str] = []
        self._inside = "127.0.0.1"
        self._options = {**_OPTIONS, **options}
        self.folder = Path(tempfile.mkdtemp(prefix="sw-pg-", dir="/tmp"))
        self._as: list[str] = []
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            nobody = pwd.getpwnam("nobody")
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
            self._as = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
        (self.port,) = free_ports(1)
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._run("initdb", "-D", self.data, "-U", USER, f"--auth={auth}", f"--pwfile={secret}", "-E", "UTF8", "--locale=C", "--no-sync")
        if tls is not None:
            self._secure(tls)
        self._guard = self._guarded()
        self.start()

    def _secure(self, issued: Issued) -> None:
        """TLS for whoever comes over the network, and nobody without it; the folder's socket is the test's own way in."""
        issued.save(self.data / "server.crt", self.data / "server.key")
        for name in ("server.crt", "server.key"):
            shutil.chown(self.data / name, self.data.stat().st_uid, self.data.stat().st_gid)
        (self.data / "pg_hba.conf").write_text("local all all trust\nhostssl all all all scram-sha-256\n")
        self._options |= {"ssl": "on"}
        self._inside = str(self.folder)

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.folder / "data"

    def start(self, **more: str) -> None:
        """Until it answers."""
        given = {**self._options, **more}
        options = " ".join(f"-c {name}={value}" for name, value in given.items())
        options += f" -c listen_addresses=127.0.0.1 -p {self.port} -c unix_socket_directories={self.folder}"
        self._run("pg_ctl", "-D", self.data, "-w", "-l", self.folder / "log", "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        """As `pg_ctl stop -m` does."""
        self._run("pg_ctl", "-D", self.data, "-w", "-m", mode, "stop")

    def close(self) -> None:
        """Stop it where it runs, and leave nothing."""
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait(60)

    def _guarded(self) -> subprocess.Popen[bytes]:
        """Whoever ends this process, and however: the end of this pipe ends the server too."""
        stop = shlex.join([*self._as, str(self._bin / "pg_ctl"), "-D", str(self.data), "-w", "-m", "immediate", "stop"])
        script = f"read _; [ ! -f {self.data}/postmaster.pid ] || {stop}; rm -rf {self.folder}"
        quiet = subprocess.DEVNULL
        return subprocess.Popen(["/bin/sh", "-c", script], stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, start_new_session=True, cwd="/")

    def pid(self) -> int:
        """Of the postmaster."""
        return int((self.data / "postmaster.pid").read_text().splitlines()[0])

    def state(self, database: str) -> str:
        """The database as `state:` names it, its password in it."""
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def run(self, database: str, *statements: str) -> list[asyncpg.Record]:
        """Statements, one after another, outside any transaction; the rows of the last."""

        async def play() -> list[asyncpg.Record]:
            connection = await self.connect(database)
            try:
                for statement in statements[:-1]:
                    await connection.execute(statement)
                return await connection.fetch(statements[-1])
            finally:
                await connection.close()

        return elsewhere(play())

    async def connect(self, database: str = "postgres") -> asyncpg.Connection:
        """A connection of the test's own."""
        return await asyncpg.connect(host=self._inside, port=self.port, user=USER, password=PASSWORD, database=database, ssl="disable")

    def database(self, template: str = "template0") -> str:
        """A new one; its name."""
        name = f"d_{secrets.token_hex(6)}"
        self.run("postgres", f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop(self, name: str) -> None:
        """Whoever is still connected is sent away."""
        self.run("postgres", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _run(self, program: str, *words: object) -> None:
        subprocess.run(
            [*self._as, self._bin / program, *map(str, words)], check=True, stdout=subprocess.DEVNULL, cwd=self.folder, env={"LC_ALL": "C"}
        )

    @contextmanager
    def new(self) -> Iterator[str]:
        """A database without any table."""
        name = self.database()
        try:
            yield name
        finally:
            self.drop(name)

    @contextmanager
    def emptied(self) -> Iterator[str]:
        """A database with our tables and nothing in them; handed on, emptied, to the next who asks."""
        name = self._free.pop() if self._free else self.database(template())
        try:
            yield name
        finally:
            self.run(name, _ALONE, *_EMPTY)
            self._free.append(name)


_ALONE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
_EMPTY = (
    *(f"DELETE FROM {table.name}" for table in reversed(metadata.sorted_tables) if table is not meta),
    "DELETE FROM meta WHERE name NOT IN ('application', 'schema')",
)


@cache
def _beside() -> asyncio.AbstractEventLoop:
    """A loop in a thread of its own: whoever asks may have one, or none."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True, name="postgresql").start()
    return loop


def elsewhere(work: Coroutine[Any, Any, T]) -> T:
    """Run it beside, and wait for it."""
    return asyncio.run_coroutine_threadsafe(work, _beside()).result(60)


@cache
def cluster() -> Cluster:
    """The one of this run; it ends with the run."""
    made = Cluster(auth="trust")
    atexit.register(made.close)
    return made


@cache
def template() -> str:
    """A database of the cluster with our tables in it, to be copied."""
    made = cluster()
    name = made.database()

    async def fill() -> None:
        store = Store(locate(made.state(name), Path("/")))
        await store.open()
        await store.close()

    elsewhere(fill())
    return name


@contextmanager
def prepared(kind: str, folder: Path, *, tables: bool = True) -> Iterator[str]:
    """The state of a store in this folder, as the configuration writes it; `state_in` finds it there again, also from another process."""
    if kind == "sqlite":
        yield SQLITE
        return
    made = cluster()
    with made.emptied() if tables else made.new() as name:
        (folder / _STATE).write_text(made.state(name))
        yield made.state(name)


def state_in(folder: Path) -> str:
    """What `prepared` prepared there."""
    kept = folder / _STATE
    return kept.read_text() if kept.exists() else SQLITE


async def handed_on(folder: Path, place: Path) -> None:
    """The database of this folder, emptied, is that one's too; SQLite's is a new file."""
    if (state := state_in(folder)) == SQLITE:
        return
    connection = await asyncpg.connect(state, ssl="disable")
    for statement in (_ALONE, *_EMPTY):
        await connection.execute(statement)
    await connection.close()
    (place / _STATE).write_text(state)
