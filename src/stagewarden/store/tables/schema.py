"""What all tables share: the schema's number and name, the metadata, and the table that says whose database this is."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table, text

SCHEMA: Final = 6
APPLICATION: Final = "stagewarden"
SERIAL: Final = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself for INTEGER alone

metadata = MetaData()


def index_where(condition: str, name: str, *columns: str, unique: bool = False) -> Index:
    """An index of those rows alone: both databases take the same condition, each under its own name."""
    return Index(name, *columns, unique=unique, sqlite_where=text(condition), postgresql_where=text(condition))


meta = Table(
    "meta",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False),
)
