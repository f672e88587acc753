"""Notifications: what people are to hear of, and one row for each message to each receiver."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, String, Table

from stagewarden.store.tables.schema import SERIAL, metadata

# What people are to hear of, written by the transaction that strikes its entry off the outbox: it is in the log, and in nobody's ear yet.
notices = Table(
    "notices",
    metadata,
    Column("number", SERIAL, primary_key=True, autoincrement=True),
    Column("entry", String, nullable=False, unique=True),  # the log entry's id
    Column("hold", String, nullable=False),
    Column("event", String, nullable=False),
    Column("state", String, nullable=False),  # where the hold stood then
    Column("at_ns", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

# One message to one receiver. `once` is what makes it one: the same call to the same person is not written twice. `body` holds ids, codes
# and moments: nothing an agent or a person wrote.
deliveries = Table(
    "deliveries",
    metadata,
    Column("number", SERIAL, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("once", String, nullable=False, unique=True),
    Column("channel", String, nullable=False),
    Column("target", String, nullable=False),  # whom within the channel: a person, an address, or "" for the channel itself
    Column("event", String, nullable=False),
    Column("subject", String, nullable=False),  # a hold, a kill or an agent
    Column("body", JSON, nullable=False),
    Column("state", String, nullable=False),  # waiting, sending, delivered, dead
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("asked_at_ns", BigInteger, nullable=False),
    Column("next_ns", BigInteger, nullable=False),
    Column("lease_until_ns", BigInteger, nullable=False, server_default="0"),
    Column("claim", String),  # of the attempt under way
    Column("ended_ns", BigInteger, nullable=False, server_default="0"),
    Column("code", String),  # what the last attempt came to
    Column("resent_by", String),
    Index("deliveries_due", "channel", "state", "next_ns"),
    Index("deliveries_newest", "asked_at_ns", "id"),
    sqlite_autoincrement=True,
)

# Channels whose receiver said that it is gone for good (410): off until somebody sends there again, or the address changes.
silenced = Table(
    "silenced_channels",
    metadata,
    Column("channel", String, primary_key=True),
    Column("address", String, nullable=False),  # a digest: an address may be a secret
    Column("since_ns", BigInteger, nullable=False),
)
