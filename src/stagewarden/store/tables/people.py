"""What people and programs do beside voting: registries they confirm, writes they repeat, tokens they use, votes that came through adapters."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, String, Table, Text

from stagewarden.store.tables.schema import SERIAL, index_where, metadata

# Registries of a production house: the one in force, and those that would widen rights and wait for people (governance section 1). Plain:
# what they say stands in registry.yaml too.
revisions = Table(
    "registry_revisions",
    metadata,
    Column("number", SERIAL, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("state", String, nullable=False),  # waiting, in_force, replaced
    Column("base", String, nullable=False),  # digest of the one it was compared with; empty for the first
    Column("digest", String, nullable=False),
    Column("document", Text, nullable=False),
    Column("since_ns", BigInteger, nullable=False),
    index_where("state = 'in_force'", "one_registry_in_force", "state", unique=True),
    sqlite_autoincrement=True,
)

confirmations = Table(
    "registry_confirmations",
    metadata,
    Column("revision", String, ForeignKey("registry_revisions.id"), primary_key=True),
    Column("person", String, primary_key=True),
    Column("at_ns", BigInteger, nullable=False),
)

# Writes of people and programs that came with an `Idempotency-Key`: whose and what, as digests; the answer sealed (gate/repeats.py).
repeats = Table(
    "repeats",
    metadata,
    Column("number", SERIAL, primary_key=True, autoincrement=True),
    Column("key", String, nullable=False, unique=True),
    Column("caller", String, nullable=False),
    Column("request", String, nullable=False),
    Column("attempt", String, nullable=False),
    Column("until_ns", BigInteger, nullable=False),
    Column("expires_at_ns", BigInteger, nullable=False),
    Column("data_key", LargeBinary),  # NULL: under way
    Column("answer", LargeBinary),
    Index("repeats_expire", "expires_at_ns"),
    Index("repeats_of", "caller", "number"),
    sqlite_autoincrement=True,
)

# When each token of the tokens file was last used; `token` is its SHA-256, as in that file (identity/uses.py).
token_uses = Table(
    "token_uses",
    metadata,
    Column("token", String, primary_key=True),
    Column("last_ns", BigInteger, nullable=False),
)

# Votes through adapters: an id is good once, a token is good once, and one seat of a hold may be filled so.
adapter_votes = Table(
    "adapter_votes",
    metadata,
    Column("number", SERIAL, primary_key=True, autoincrement=True),
    Column("adapter", String, nullable=False),
    Column("callback", String, nullable=False),  # the adapter's own id for it
    Column("token", String, nullable=False, unique=True),  # digest of issuer and token id
    Column("hold", String, nullable=False),
    Column("person", String, nullable=False),
    Column("state", String, nullable=False),  # begun, cast, refused
    Column("at_ns", BigInteger, nullable=False),
    Index("one_callback", "adapter", "callback", unique=True),
    index_where("state != 'refused'", "one_seat_by_adapter", "hold", unique=True),
    sqlite_autoincrement=True,
)
