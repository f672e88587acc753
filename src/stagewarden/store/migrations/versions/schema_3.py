"""Schema 2 → 3: the whole life of a hold, and several replicas on one database.

tests/unit/store/test_migrations.py compares what stands here with a new database, column by column and index by index: a column or table
that is added to tables.py while schema 3 is in the making is added here too, to the list of its table or as a `create_table`.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "3"
down_revision = "2"

_SINGLE = "state IN ('pending', 'settling', 'approved', 'claimed', 'sent', 'unknown')"


def upgrade() -> None:
    """(1) Columns. (2) The index whose condition changed. (3) Tables."""
    with op.batch_alter_table("holds") as holds:
        for column in (
            sa.Column("asked", sa.Boolean, nullable=False, server_default=sa.true()),
            sa.Column("settles_at_ns", sa.BigInteger, nullable=False, server_default="0"),
            sa.Column("escalated_at_ns", sa.BigInteger, nullable=False, server_default="0"),
            sa.Column("predecessor", sa.String),
            sa.Column("editor", sa.String),
            sa.Column("grant", sa.String),
            sa.Column("sends", sa.Integer, nullable=False, server_default="0"),
        ):
            holds.add_column(column)
    op.drop_index("one_hold_per_repeat", "holds")
    op.create_index(
        "one_hold_per_repeat", "holds", ["agent", "workflow", "initiator", "repeat_digest"], unique=True,
        sqlite_where=sa.text(_SINGLE), postgresql_where=sa.text(_SINGLE),
    )  # fmt: skip
    with op.batch_alter_table("outbox") as outbox:
        outbox.add_column(sa.Column("origin", sa.String, nullable=False, server_default=""))
    op.create_table(
        "instances",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("heard_ns", sa.BigInteger, nullable=False),
        sa.Column("version", sa.String, nullable=False),
        sa.Column("policy", sa.String, nullable=False),
        sa.Column("registry", sa.String, nullable=False),
    )
    op.create_table(
        "repeats",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("key", sa.String, nullable=False, unique=True),
        sa.Column("caller", sa.String, nullable=False),
        sa.Column("request", sa.String, nullable=False),
        sa.Column("attempt", sa.String, nullable=False),
        sa.Column("until_ns", sa.BigInteger, nullable=False),
        sa.Column("expires_at_ns", sa.BigInteger, nullable=False),
        sa.Column("data_key", sa.LargeBinary),
        sa.Column("answer", sa.LargeBinary),
        sqlite_autoincrement=True,
    )
    op.create_index("repeats_expire", "repeats", ["expires_at_ns"])
    op.create_index("repeats_of", "repeats", ["caller", "number"])
    op.create_table(
        "stops",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("id", sa.String, nullable=False, unique=True),
        *(sa.Column(name, sa.String, nullable=False) for name in ("act", "subject", "scope", "mode", "by")),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        *(sa.Column(name, sa.Boolean, nullable=False) for name in ("security", "loosens", "relapse")),
        sa.Column("observed_until_ns", sa.BigInteger, nullable=False),
    )
