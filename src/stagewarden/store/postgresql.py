"""PostgreSQL alone: connections, time limits, locks, notices, and what its errors say.

The only file with PostgreSQL's own words. Several replicas write here at once: what one reads before it writes is locked
(`FOR NO KEY UPDATE`, holds/desk.py) or passed alone (`alone`). Nothing waits for ever, and no error repeats a value or a password.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import asyncpg
from sqlalchemy import event, text
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import create_async_engine

from stagewarden.errors import StateUnavailable
from stagewarden.store.backend import PATIENCE, WRITE
from stagewarden.store.news import LOOK, Notice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from sqlalchemy import URL
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
    from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

    from stagewarden.clock import Clock
    from stagewarden.store.news import Ear

# The server's own limits, in milliseconds; ours, in seconds, are a little longer and count where the server does not answer at all.
_SETTINGS = {
    "application_name": "stagewarden",
    "synchronous_commit": "on",  # whatever the role or the database has: a `sent` that is acknowledged must not be lost with the server
    "statement_timeout": "5000",
    "lock_timeout": "4000",
    "idle_in_transaction_session_timeout": "15000",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "timezone": "UTC",
    "bytea_output": "hex",
}
_CONNECT, _COMMAND, _WHOLE = 4.0, 6.0, 20.0  # seconds: to connect, for one statement, for one transaction
_GOODBYE = 2.0  # seconds a connection may take to close
_BEAT, _ANSWER, _AGAIN = 1.0, 2.0, 0.5  # seconds: between proofs that we hear, for one of them, between attempts to connect
_TAKE_NAME = "SELECT pg_try_advisory_lock(hashtextextended($1, 0))"
_TAKE_KEY = "SELECT pg_try_advisory_lock(hashtextextended($1, 2))"
_GIVE_KEY = "SELECT pg_advisory_unlock(hashtextextended($1, 2))"
_LOCKED, _PAUSE = 30.0, 0.03  # seconds: for another instance to give a lock back, between looks
_OLDEST = 14  # releases of the server that are tested, and whose makers still mend them
_SCHEMA_LOCK = 0x53_57_53_43  # "SWSC"
_SPEAKS_FREELY = ("08", "25", "28", "3D", "40", "42", "53", "55", "57", "58")  # classes whose messages name no value (appendix A of the manual)
_PREFIX = "stagewarden_"
_CHANNEL = re.compile(r"[a-z_]{1,32}")


class Postgresql:
    """One PostgreSQL, shared. `instance` is this replica's name: no two living ones have the same."""

    exclusive = False

    def __init__(self, url: URL, instance: str | None) -> None:
        self._url = url
        self._instance = instance
        self.name = f"{url.host}:{url.port}/{url.database}"
        self._named: asyncpg.Connection | None = None
        self._asking = asyncio.Lock()
        query = {name: str(value) for name, value in url.query.items()}
        self._pool = int(query.get("pool", "10"))
        self._authorities = query.get("authorities")
        self._tls = query.get("tls") == "yes"

    # -- one's own place ------------------------------------------------------------------------------------------------

    async def take(self) -> None:
        """Our name is ours alone: the database holds it for as long as this connection lives, and no longer."""
        if self._instance is not None:
            await self.keep()

    async def join(self) -> None:
        """The house has the name."""

    async def release(self) -> None:
        """Give the name back."""
        named, self._named = self._named, None
        await _close(named)

    async def keep(self) -> None:
        """A restart of the server has dropped the name: take it again."""
        async with self._asking:
            await self._place()

    async def lock(self, key: str) -> None:
        """On the connection that holds the name: whoever loses it loses both."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOCKED):
                while not await self._take(key):  # noqa: ASYNC110 - another process has it
                    await asyncio.sleep(_PAUSE)
                return
        raise StateUnavailable(f"state database {self.name}: another instance keeps a lock for longer than {_LOCKED:.0f} s")

    async def unlock(self, key: str) -> None:
        """Also where it was lost: then there is nothing to give back."""
        await self._ask(_GIVE_KEY, key)

    async def _take(self, key: str) -> bool:
        taking = asyncio.ensure_future(self._ask(_TAKE_KEY, key))
        try:
            return bool(await asyncio.shield(taking))
        except asyncio.CancelledError:
            if await taking:  # it came all the same, and nobody wants it any more
                await self._ask(_GIVE_KEY, key)
            raise

    async def _ask(self, statement: str, key: str) -> object:
        """One statement at a time on the one connection. One that does not answer is given up, and with it all that it held."""
        async with self._asking:
            connection = await self._place()
            try:
                return await connection.fetchval(statement, key)
            except TimeoutError:
                connection.terminate()
                raise

    async def _place(self) -> asyncpg.Connection:
        """The connection of our own place, made anew where it is lost."""
        if self._instance is None:
            raise StateUnavailable(f"state database {self.name}: this instance has no name")
        if self._named is None or self._named.is_closed():
            self._named = await self._claim_name()
        return self._named

    async def _claim_name(self) -> asyncpg.Connection:
        """A connection that holds our name. A process that was killed a moment ago may still seem to have it."""
        connection = await self.connect()
        try:
            async with asyncio.timeout(PATIENCE):
                while not await connection.fetchval(_TAKE_NAME, f"instance {self._instance}"):  # noqa: ASYNC110 - another process has it
                    await asyncio.sleep(0.1)
        except TimeoutError:
            await _close(connection)
            raise StateUnavailable(f"state database {self.name}: an instance named {self._instance} is using it; give each its own `name`") from None
        except BaseException:
            await _close(connection)
            raise
        return connection

    async def connect(self) -> asyncpg.Connection:
        """A connection beside the pool."""
        url = self._url
        return await asyncpg.connect(
            host=url.host, port=url.port, user=url.username, database=url.database, password=str(url.password or ""), **self._arguments()
        )  # fmt: skip

    def _arguments(self) -> dict[str, object]:
        """What every connection is told. All of it is said here, so that the driver looks for nothing in the environment."""
        return {
            "timeout": _CONNECT, "command_timeout": _COMMAND, "server_settings": dict(_SETTINGS), "target_session_attrs": "any",
            "ssl": ssl.create_default_context(cafile=self._authorities) if self._tls else "disable",
        }  # fmt: skip

    # -- transactions ---------------------------------------------------------------------------------------------------

    def engine(self, *, ours: bool) -> AsyncEngine:  # noqa: ARG002 - no setting of ours changes the database itself
        """A bounded pool; a connection that was cut while it lay there is not handed out."""
        url = self._url.set(query={}, password=str(self._url.password or ""))
        made = create_async_engine(
            url, pool_size=self._pool, max_overflow=0, pool_timeout=PATIENCE, pool_recycle=1800, hide_parameters=True,
            connect_args=self._arguments(),
        )  # fmt: skip
        event.listen(made.sync_engine, "checkout", _still_open)
        return made

    def settled(self) -> bool:
        """No connection is made in another way."""
        return False

    @asynccontextmanager
    async def turn(self, *, write: bool) -> AsyncIterator[None]:  # noqa: ARG002 - readers are bounded as writers are
        """Nobody waits for a turn; the whole is bounded, whatever the network does."""
        try:
            async with asyncio.timeout(_WHOLE):
                yield
        except TimeoutError as error:
            raise StateUnavailable(f"state database {self.name}: no answer in time") from error

    def options(self, *, write: bool) -> dict[str, object]:
        """Readers see one moment (two statements of one reading belong together). Writers see what is committed, and lock what they rely on."""
        if write:
            return {WRITE: True}
        return {WRITE: False, "isolation_level": "REPEATABLE READ", "postgresql_readonly": True}

    async def alone(self, connection: AsyncConnection, key: str) -> None:
        """An advisory lock that the end of the transaction gives back."""
        await connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 1))"), {"key": key})

    async def settling(self, connection: AsyncConnection) -> None:
        """As above, under a number of its own."""
        await connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _SCHEMA_LOCK})

    async def probe(self, connection: AsyncConnection) -> None:
        """A standby, or a database made read-only, answers and cannot write."""
        if await connection.scalar(text("SELECT current_setting('transaction_read_only')")) != "off":
            raise StateUnavailable(f"state database {self.name}: is read-only")

    async def remarks(self, connection: AsyncConnection) -> tuple[str, ...]:
        """Without these two a crash of the machine may take back what was committed, or tear pages (manual, 20.5.1)."""
        said = [
            f"the server runs with {name}=off" for name in ("fsync", "full_page_writes") if await connection.scalar(text(f"SHOW {name}")) == "off"
        ]
        version = int(await connection.scalar(text("SELECT current_setting('server_version_num')::int")) or 0)
        return (*said, f"the server is older than release {_OLDEST}") if version < _OLDEST * 10_000 else tuple(said)

    async def now_ns(self, connection: AsyncConnection, ours: int) -> int:  # noqa: ARG002 - replicas' clocks differ; this one is theirs together
        """The server's clock."""
        return int(await connection.scalar(text("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")) or 0) * 1000

    # -- notices --------------------------------------------------------------------------------------------------------

    async def notify(self, connection: AsyncConnection, channel: str, payload: str) -> None:
        """Delivered when the transaction commits, and only then."""
        await connection.execute(text("SELECT pg_notify(:channel, :payload)"), {"channel": _known(channel), "payload": payload})

    def ear(self, channels: Iterable[str], clock: Clock) -> Ear:
        """A connection of its own listens: one of the pool would be handed to others."""
        return Listener(self, tuple(channels), clock)

    def told(self, error: BaseException) -> str:
        """The condition; the server's words where they name no value."""
        cause: BaseException = error
        while not isinstance(cause, asyncpg.PostgresError | asyncpg.InterfaceError) and cause.__cause__ is not None:
            cause = cause.__cause__
        if isinstance(cause, asyncpg.PostgresError):
            state = str(cause.sqlstate or "")
            constraint = getattr(cause, "constraint_name", None)
            words = str(cause.args[0]).partition("\n")[0] if state.startswith(_SPEAKS_FREELY) and cause.args else constraint or ""
            return f"{type(cause).__name__} ({state}) {words}".rstrip()
        if isinstance(cause, ConnectionError | TimeoutError):
            return f"cannot be reached ({type(cause).__name__})"
        return f"{type(cause).__name__} {cause}" if isinstance(cause, OSError) else type(cause).__name__  # a file, a name, a certificate


class Listener:
    """Hears the notices of others on a connection of its own, and makes another when it is lost."""

    def __init__(self, database: Postgresql, channels: tuple[str, ...], clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._channels = channels
        self._connection: asyncpg.Connection | None = None
        self._heard: asyncio.Queue[Notice | None] = asyncio.Queue()
        self.connected = False
        self.heard_at = float("-inf")

    async def notices(self) -> AsyncIterator[Notice]:
        """(1) Connect and listen. (2) Whatever was said meanwhile is looked at. (3) Hear; prove every second that we do. (4) From the start."""
        try:
            while True:
                try:
                    await self._listen()
                except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    await self._lost()
                    yield LOOK
                    await asyncio.sleep(_AGAIN)
                    continue
                yield LOOK
                while self.connected:
                    if (notice := await self._next()) is not None:
                        yield notice
                await self._lost()
        finally:
            await self.close()

    async def close(self) -> None:
        """Hear nothing more."""
        self.connected = False
        connection, self._connection = self._connection, None
        await _close(connection)

    async def _listen(self) -> None:
        self._heard = asyncio.Queue()
        self._connection = connection = await self._database.connect()
        connection.add_termination_listener(lambda _: self._heard.put_nowait(None))
        for channel in self._channels:
            await connection.add_listener(_known(channel), self._hear)
        self.connected, self.heard_at = True, self._clock.monotonic()

    def _hear(self, _connection: object, _pid: int, channel: str, payload: object) -> None:
        self._heard.put_nowait(Notice(channel.removeprefix(_PREFIX), str(payload)))

    async def _next(self) -> Notice | None:
        """The next notice; None after a second without one, once the connection has proven that it would have brought it, or is gone."""
        try:
            async with asyncio.timeout(_BEAT):
                notice = await self._heard.get()
        except TimeoutError:
            await self._prove()
            return None
        if notice is None:
            self.connected = False
        elif self._clock.monotonic() - self.heard_at > _BEAT:
            await self._prove()
        return notice

    async def _prove(self) -> None:
        """An answer on the very connection that listens: notices before it would have come before it."""
        try:
            assert self._connection is not None
            async with asyncio.timeout(_ANSWER):
                asked_at = self._clock.monotonic()
                await self._connection.fetchval("SELECT 1")
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self.connected = False
        else:
            self.heard_at = asked_at

    async def _lost(self) -> None:
        await self.close()


async def _close(connection: asyncpg.Connection | None) -> None:
    """Politely where the other side still speaks, else at once."""
    if connection is None:
        return
    try:
        await connection.close(timeout=_GOODBYE)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        with suppress(OSError, asyncpg.InterfaceError):
            connection.terminate()


def _known(channel: str) -> str:
    """Channel names are ours: lower case, so that LISTEN and NOTIFY mean the same one."""
    if not _CHANNEL.fullmatch(channel):
        raise ValueError(f"no channel: {channel!r}")
    return f"{_PREFIX}{channel}"


def _still_open(connection: DBAPIConnection, _record: ConnectionPoolEntry, _proxy: PoolProxiedConnection) -> None:
    """A restart of the server closes what lay in the pool: the next one is tried, and nobody is told of a fault that is over."""
    if connection._connection.is_closed():  # noqa: SLF001 - the driver's own connection, as the adapter keeps it
        raise DisconnectionError
