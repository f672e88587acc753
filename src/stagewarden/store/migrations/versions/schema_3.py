"""Schema 2 → 3: the whole life of a hold, grants, registries that wait for people, and several replicas on one database.

tests/unit/store/test_migrations.py compares what all steps make with a new database, column by column and index by index.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "3"
down_revision = "2"

_SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_SINGLE = "state IN ('pending', 'settling', 'approved', 'claimed', 'sent', 'unknown')"
_WAITS = "state = 'pending'"


def upgrade() -> None:
    """(1) Columns, and the index whose condition changed. (2) Tables."""
    _columns()
    _fleet()
    _repeats()
    _registries()
    _grants()
    _inbox()
    _notifications()


def _columns() -> None:
    with op.batch_alter_table("holds") as holds:
        for column in (
            sa.Column("asked", sa.Boolean, nullable=False, server_default=sa.true()),
            sa.Column("settles_at_ns", sa.BigInteger, nullable=False, server_default="0"),
            sa.Column("escalated_at_ns", sa.BigInteger, nullable=False, server_default="0"),
            sa.Column("reminded_at_ns", sa.BigInteger, nullable=False, server_default="0"),
            sa.Column("predecessor", sa.String),
            sa.Column("editor", sa.String),
            sa.Column("grant", sa.String),
            sa.Column("sends", sa.Integer, nullable=False, server_default="0"),
            sa.Column("authors", sa.JSON, nullable=False, server_default="[]"),
            sa.Column("original", sa.LargeBinary),
            sa.Column("resend", sa.Boolean, nullable=False, server_default=sa.false()),
            sa.Column("settle_ns", sa.BigInteger, nullable=False, server_default="0"),
            sa.Column("evidence", sa.LargeBinary),
            sa.Column("claimed_by", sa.String),
            sa.Column("destination", sa.String),
            sa.Column("lot", sa.String),  # from the first list that meets the hold (holds/lots.py): what a lot says is the house's to say
        ):
            holds.add_column(column)
    op.drop_index("one_hold_per_repeat", "holds")
    op.create_index(
        "one_hold_per_repeat", "holds", ["agent", "workflow", "initiator", "repeat_digest"], unique=True,
        sqlite_where=sa.text(_SINGLE), postgresql_where=sa.text(_SINGLE),
    )  # fmt: skip
    op.create_index("holds_alike", "holds", ["agent", "kind", "upstream", "asked_at_ns", "id"])
    with op.batch_alter_table("outbox") as outbox:
        outbox.add_column(sa.Column("origin", sa.String, nullable=False, server_default=""))


def _fleet() -> None:
    op.create_table(
        "instances",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("heard_ns", sa.BigInteger, nullable=False),
        sa.Column("version", sa.String, nullable=False),
        sa.Column("policy", sa.String, nullable=False),
        sa.Column("registry", sa.String, nullable=False),
    )
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


def _repeats() -> None:
    op.create_table(
        "repeats",
        sa.Column("number", _SERIAL, primary_key=True, autoincrement=True),
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


def _registries() -> None:
    op.create_table(
        "registry_revisions",
        sa.Column("number", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String, nullable=False, unique=True),
        *(sa.Column(name, sa.String, nullable=False) for name in ("state", "base", "digest")),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("since_ns", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    in_force = sa.text("state = 'in_force'")
    op.create_index("one_registry_in_force", "registry_revisions", ["state"], unique=True, sqlite_where=in_force, postgresql_where=in_force)
    op.create_table(
        "registry_confirmations",
        sa.Column("revision", sa.String, sa.ForeignKey("registry_revisions.id"), primary_key=True),
        sa.Column("person", sa.String, primary_key=True),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
    )


def _grants() -> None:
    op.create_table(
        "grants",
        sa.Column("number", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String, nullable=False, unique=True),
        *(sa.Column(name, sa.String, nullable=False) for name in ("state", "agent", "workflow", "upstream", "stage")),
        sa.Column("completes_on", sa.String),
        sa.Column("terms", sa.JSON, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("tier", sa.String, nullable=False),
        sa.Column("seats", sa.JSON, nullable=False),
        sa.Column("requested_by", sa.String, nullable=False),
        sa.Column("asked_at_ns", sa.BigInteger, nullable=False),
        sa.Column("decide_by_ns", sa.BigInteger, nullable=False),
        *(
            sa.Column(f"{name}_ns", sa.BigInteger, nullable=False, server_default="0")
            for name in ("approved_at", "expires_at", "review_by", "ended_at")
        ),
        sa.Column("ended_by", sa.String),
        sa.Column("ended_why", sa.String),
        sa.Column("uses", sa.Integer, nullable=False),
        sa.Column("used", sa.Integer, nullable=False, server_default="0"),
        sqlite_autoincrement=True,
    )
    op.create_index("grants_state", "grants", ["state", "agent"])
    op.create_index("grants_asked", "grants", ["asked_at_ns", "id"])
    op.create_table(
        "grant_votes",
        sa.Column("number", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String, nullable=False, unique=True),
        sa.Column("grant", sa.String, sa.ForeignKey("grants.id"), nullable=False),
        *(sa.Column(name, sa.String, nullable=False) for name in ("person", "function", "decision")),
        sa.Column("reason", sa.String),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("one_grant_vote_per_person", "grant_votes", ["grant", "person"], unique=True)
    op.create_table(
        "grant_uses",
        sa.Column("number", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String, nullable=False, unique=True),
        sa.Column("grant", sa.String, sa.ForeignKey("grants.id"), nullable=False),
        *(sa.Column(name, sa.String, nullable=False) for name in ("ruling", "state", "digest")),
        sa.Column("fields", sa.JSON, nullable=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("settled_at_ns", sa.BigInteger, nullable=False, server_default="0"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_grant_uses_ruling", "grant_uses", ["ruling"])
    op.create_index("grant_uses_grant", "grant_uses", ["grant", "state"])


def _inbox() -> None:
    op.create_table("lots", sa.Column("id", sa.String, primary_key=True), sa.Column("document", sa.Text, nullable=False))
    for name, columns in (
        ("holds_lots", ["state", "asked", "lot", "expires_at_ns", "asked_at_ns"]),
        ("holds_due", ["state", "asked", "expires_at_ns", "id", "lot", "asset", "asked_at_ns"]),
    ):
        op.create_index(name, "holds", columns, sqlite_where=sa.text(_WAITS), postgresql_where=sa.text(_WAITS))
    op.create_index("holds_ended", "holds", ["ended_at_ns", "id", "lot"])
    op.create_index("votes_of", "votes", ["person", "at_ns"])


def _notifications() -> None:
    op.create_table(
        "notices",
        sa.Column("number", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("entry", sa.String, nullable=False, unique=True),
        *(sa.Column(name, sa.String, nullable=False) for name in ("hold", "event", "state")),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "deliveries",
        sa.Column("number", _SERIAL, primary_key=True, autoincrement=True),
        *(sa.Column(name, sa.String, nullable=False, unique=True) for name in ("id", "once")),
        *(sa.Column(name, sa.String, nullable=False) for name in ("channel", "target", "event", "subject")),
        sa.Column("body", sa.JSON, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("asked_at_ns", "next_ns")),
        sa.Column("lease_until_ns", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("claim", sa.String),
        sa.Column("ended_ns", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("code", sa.String),
        sa.Column("resent_by", sa.String),
        sqlite_autoincrement=True,
    )
    op.create_index("deliveries_due", "deliveries", ["channel", "state", "next_ns"])
    op.create_index("deliveries_newest", "deliveries", ["asked_at_ns", "id"])
    op.create_table(
        "silenced_channels",
        sa.Column("channel", sa.String, primary_key=True),
        sa.Column("address", sa.String, nullable=False),
        sa.Column("since_ns", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "adapter_votes",
        sa.Column("number", _SERIAL, primary_key=True, autoincrement=True),
        *(sa.Column(name, sa.String, nullable=False) for name in ("adapter", "callback")),
        sa.Column("token", sa.String, nullable=False, unique=True),
        *(sa.Column(name, sa.String, nullable=False) for name in ("hold", "person", "state")),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    standing = sa.text("state != 'refused'")
    op.create_index("one_callback", "adapter_votes", ["adapter", "callback"], unique=True)
    op.create_index("one_seat_by_adapter", "adapter_votes", ["hold"], unique=True, sqlite_where=standing, postgresql_where=standing)
