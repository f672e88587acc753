"""What all replicas follow: orders to stop, and each other."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, String, Table

from stagewarden.store.tables.schema import metadata

# Orders to stop and to go on, in the one sequence that all replicas follow; never changed, never deleted. Whoever gives the next one
# takes the next number: two at once clash, and the later one looks again at what stands. Numbers have no gaps, so that nobody misses one.
stops = Table(
    "stops",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("id", String, nullable=False, unique=True),
    Column("act", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("scope", String, nullable=False),
    Column("mode", String, nullable=False),
    Column("by", String, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("reason", String, nullable=False),
    Column("security", Boolean, nullable=False),
    Column("loosens", Boolean, nullable=False),
    Column("relapse", Boolean, nullable=False),
    Column("observed_until_ns", BigInteger, nullable=False),
)

# Who uses this database, and judges by what (replicas on one PostgreSQL).
instances = Table(
    "instances",
    metadata,
    Column("name", String, primary_key=True),
    Column("heard_ns", BigInteger, nullable=False),  # by the database's clock
    Column("version", String, nullable=False),
    Column("policy", String, nullable=False),
    Column("registry", String, nullable=False),
)
