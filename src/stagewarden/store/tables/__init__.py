"""The tables, portable between SQLite and PostgreSQL, one file for each room's.

Columns that hold what an agent or a person wrote are bytes, and only ever ciphertext (holds/crypto.py): `data_key`, `request`,
`question`, `before`, `original`, `response`, `evidence`, `note`, `sealed`, `answer`. Times are nanoseconds since the epoch, 0 = not set.
A change here raises `SCHEMA`.
"""

from stagewarden.store.tables.granting import grant_uses, grant_votes, grants
from stagewarden.store.tables.holding import SINGLE, WAITS, bodies, holds, lots, outbox, reviews, titles, views, votes
from stagewarden.store.tables.people import adapter_votes, confirmations, repeats, revisions, token_uses
from stagewarden.store.tables.replicas import instances, stops
from stagewarden.store.tables.schema import APPLICATION, SCHEMA, meta, metadata
from stagewarden.store.tables.telling import deliveries, notices, silenced

__all__ = [
    "APPLICATION",
    "SCHEMA",
    "SINGLE",
    "WAITS",
    "adapter_votes",
    "bodies",
    "confirmations",
    "deliveries",
    "grant_uses",
    "grant_votes",
    "grants",
    "holds",
    "instances",
    "lots",
    "meta",
    "metadata",
    "notices",
    "outbox",
    "repeats",
    "reviews",
    "revisions",
    "silenced",
    "stops",
    "titles",
    "token_uses",
    "views",
    "votes",
]
