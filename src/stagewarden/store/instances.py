"""Who uses this database: each instance says every few seconds that it is there, and by which policy and registry it judges.

Silence is measured by the database's clock alone: replicas' clocks differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import delete, insert, select, update

from stagewarden.clock import NANOSECONDS
from stagewarden.store.tables import instances

if TYPE_CHECKING:
    from stagewarden.store.database import Store

FORGOTTEN = 24 * 3600.0  # seconds of silence after which an instance is no longer listed


class Instance(NamedTuple):
    """One replica, and for how many seconds it has said nothing."""

    name: str
    version: str
    policy: str
    registry: str
    silent: float


async def beat(store: Store, version: str, policy: str, registry: str) -> tuple[Instance, ...]:
    """Say that we are here; everybody who was in the last day, by name."""
    async with store.writing() as connection:
        now = await store.now_ns(connection, 0)
        said = {"heard_ns": now, "version": version, "policy": policy, "registry": registry}
        # Nobody else has our name (`Backend.take`), so that nobody else writes this row.
        if (await connection.execute(update(instances).where(instances.c.name == store.instance).values(said))).rowcount == 0:
            await connection.execute(insert(instances).values(name=store.instance, **said))
        await connection.execute(delete(instances).where(instances.c.heard_ns < now - int(FORGOTTEN * NANOSECONDS)))
        found = (await connection.execute(select(instances).order_by(instances.c.name))).mappings().all()
    return tuple(Instance(row["name"], row["version"], row["policy"], row["registry"], (now - row["heard_ns"]) / NANOSECONDS) for row in found)
