"""Grants, the votes on them and their uses."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Integer, String, Table

from stagewarden.store.tables.schema import SERIAL, metadata

# Grants (lifecycles.md, "A grant"). `terms` are what people voted on; what the sidecar asks for by itself stands in columns beside them.
grants = Table(
    "grants",
    metadata,
    Column("number", SERIAL, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("state", String, nullable=False),
    Column("agent", String, nullable=False),
    Column("workflow", String, nullable=False),
    Column("upstream", String, nullable=False),
    Column("stage", String, nullable=False),
    Column("completes_on", String),
    Column("terms", JSON, nullable=False),
    Column("digest", String, nullable=False),
    Column("tier", String, nullable=False),
    Column("seats", JSON, nullable=False),
    Column("requested_by", String, nullable=False),
    Column("asked_at_ns", BigInteger, nullable=False),
    Column("decide_by_ns", BigInteger, nullable=False),
    Column("approved_at_ns", BigInteger, nullable=False, server_default="0"),
    Column("expires_at_ns", BigInteger, nullable=False, server_default="0"),
    Column("review_by_ns", BigInteger, nullable=False, server_default="0"),
    Column("ended_at_ns", BigInteger, nullable=False, server_default="0"),
    Column("ended_by", String),
    Column("ended_why", String),
    Column("uses", Integer, nullable=False),
    Column("used", Integer, nullable=False, server_default="0"),
    Index("grants_state", "state", "agent"),
    Index("grants_asked", "asked_at_ns", "id"),
    sqlite_autoincrement=True,
)

grant_votes = Table(
    "grant_votes",
    metadata,
    Column("number", SERIAL, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("grant", String, ForeignKey("grants.id"), nullable=False),
    Column("person", String, nullable=False),
    Column("function", String, nullable=False),
    Column("decision", String, nullable=False),
    Column("reason", String),
    Column("digest", String, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Index("one_grant_vote_per_person", "grant", "person", unique=True),
    sqlite_autoincrement=True,
)

# `reserved` counts as used until it is known that nothing was sent: a crash in between leaves it so, and shown so.
grant_uses = Table(
    "grant_uses",
    metadata,
    Column("number", SERIAL, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("grant", String, ForeignKey("grants.id"), nullable=False),
    Column("ruling", String, nullable=False, index=True),
    Column("state", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("fields", JSON, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("settled_at_ns", BigInteger, nullable=False, server_default="0"),
    Index("grant_uses_grant", "grant", "state"),
    sqlite_autoincrement=True,
)
