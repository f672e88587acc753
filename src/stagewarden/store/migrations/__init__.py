"""Bringing a database of an earlier release to our schema: forward only, all steps in the one transaction that opens the store.

Each step is an Alembic script in `versions/`, named after the schema it leads to. Which schema a database has stands in its `meta`
table since the first release; a version table of Alembic's own would be a second truth, so there is none. A step never reads
tables/, which goes on changing: it says itself what it makes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import insert, text, update

from stagewarden.errors import StateUnavailable
from stagewarden.store.tables import APPLICATION, SCHEMA, meta, metadata

if TYPE_CHECKING:
    from sqlalchemy import Connection

OLDEST = 2  # the schema of the first release


def create(connection: Connection) -> None:
    """Everything, in an empty database."""
    metadata.create_all(connection)
    connection.execute(insert(meta), [{"name": "application", "value": APPLICATION}, {"name": "schema", "value": str(SCHEMA)}])


def migrate(connection: Connection, found: int) -> None:
    """(1) Every step from there to ours. (2) No row refers to nothing. (3) The new number. The caller's transaction makes it all or nothing."""
    # Loaded by the rare start that needs it, and by no other.
    from alembic.operations import Operations  # noqa: PLC0415
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    scripts = ScriptDirectory(str(Path(__file__).parent))
    steps = [*scripts.iterate_revisions(str(SCHEMA), str(found))]
    context = MigrationContext.configure(connection, opts={"transactional_ddl": True})
    with Operations.context(context):
        for step in reversed(steps):
            step.module.upgrade()
    if connection.dialect.name == "sqlite" and connection.execute(text("PRAGMA foreign_key_check")).first() is not None:
        raise StateUnavailable("state database: a row refers to one that is not there; it is left as it was")
    connection.execute(update(meta).where(meta.c.name == "schema").values(value=str(SCHEMA)))
