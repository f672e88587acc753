"""Holds and what hangs on them: lots, bodies, titles, votes, how votes came about; and the outbox of everything that moves."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text, false, true

from stagewarden.store.tables.schema import SERIAL, index_where, metadata

# One hold at most for one repeat while it is open, or while nobody knows what became of it (lifecycles.md, "A repeat").
SINGLE = "state IN ('pending', 'settling', 'approved', 'claimed', 'sent', 'unknown')"
WAITS = "state = 'pending'"  # written out in each statement: no planner matches a parameter with an index of part of the rows

_REPEAT = ("agent", "workflow", "initiator", "repeat_digest")

holds = Table(
    "holds",
    metadata,
    Column("number", SERIAL, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("state", String, nullable=False),
    Column("ruling", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("view_digest", String, nullable=False),
    Column("repeat_digest", String, nullable=False),
    Column("agent", String, nullable=False),
    Column("workflow", String, nullable=False),
    Column("initiator", String, nullable=False),
    Column("upstream", String, nullable=False),
    Column("stage", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("asset", String),
    Column("lookup_digest", String),
    Column("after_digest", String),
    Column("tier", String, nullable=False),
    Column("reasons", JSON, nullable=False),
    Column("seats", JSON, nullable=False),
    Column("questions", JSON, nullable=False),
    Column("principal", JSON, nullable=False),
    Column("method", String, nullable=False),
    Column("path", String, nullable=False),
    Column("asked_at_ns", BigInteger, nullable=False),
    Column("expires_at_ns", BigInteger, nullable=False),
    Column("approved_at_ns", BigInteger, nullable=False, default=0),
    Column("use_by_ns", BigInteger, nullable=False, default=0),
    Column("ended_at_ns", BigInteger, nullable=False, default=0),
    Column("attempt", String),
    Column("claimed_by", String),  # the instance that last claimed it
    Column("fence", Integer, nullable=False, default=0),
    Column("lease_until_ns", BigInteger, nullable=False, default=0),
    Column("not_before_ns", BigInteger, nullable=False, default=0),
    Column("successor", String),
    Column("ended_by", String),
    Column("asked", Boolean, nullable=False, server_default=true()),
    Column("settles_at_ns", BigInteger, nullable=False, server_default="0"),
    Column("escalated_at_ns", BigInteger, nullable=False, server_default="0"),
    Column("reminded_at_ns", BigInteger, nullable=False, server_default="0"),
    Column("predecessor", String),
    Column("editor", String),
    Column("grant", String),
    Column("sends", Integer, nullable=False, server_default="0"),
    Column("authors", JSON, nullable=False, server_default="[]"),
    Column("original", LargeBinary),
    Column("resend", Boolean, nullable=False, server_default=false()),
    Column("settle_ns", BigInteger, nullable=False, server_default="0"),
    Column("evidence", LargeBinary),
    Column("destination", String),  # by its registered name
    Column("lot", String),  # NULL: of an earlier release, until the first list meets it
    Column("data_key", LargeBinary),  # NULL: payload deleted
    Column("request", LargeBinary),
    Column("question", LargeBinary),
    Column("before", LargeBinary),
    Column("response", LargeBinary),
    index_where(SINGLE, "one_hold_per_repeat", *_REPEAT, unique=True),
    Index("holds_repeats", "repeat_digest", "agent"),
    Index("holds_state", "state", "asked_at_ns"),
    Index("holds_asked", "asked_at_ns", "id"),
    Index("holds_agent", "agent", "state"),
    Index("holds_asset", "upstream", "asset"),
    Index("holds_alike", "agent", "kind", "upstream", "asked_at_ns", "id"),
    index_where(WAITS, "holds_lots", "state", "asked", "lot", "expires_at_ns", "asked_at_ns"),
    index_where(WAITS, "holds_due", "state", "asked", "expires_at_ns", "id", "lot", "asset", "asked_at_ns"),
    Index("holds_ended", "ended_at_ns", "id", "lot"),
    sqlite_autoincrement=True,
)

# What many holds have in common: all that decides who may vote on them, and by what lists are filtered (holds/lots.py). A row is never changed:
# a vote puts its hold into another lot.
lots = Table(
    "lots",
    metadata,
    Column("id", String, primary_key=True),  # SHA-256 of the document
    Column("document", Text, nullable=False),
)

# A large body of a hold, in pieces, so that nobody ever has to hold it whole.
bodies = Table(
    "bodies",
    metadata,
    Column("hold", String, ForeignKey("holds.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)

# What a hold's thing is called, for lists. Beside its hold and not in it: a row's large columns would lie before it, and be read with it.
titles = Table("titles", metadata, Column("hold", String, ForeignKey("holds.id"), primary_key=True), Column("sealed", LargeBinary, nullable=False))

votes = Table(
    "votes",
    metadata,
    Column("number", SERIAL, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("hold", String, ForeignKey("holds.id"), nullable=False),
    Column("person", String, nullable=False),
    Column("function", String, nullable=False),
    Column("decision", String, nullable=False),
    Column("reason", String),
    Column("note", LargeBinary),
    Column("digest", String, nullable=False),
    Column("view_digest", String, nullable=False),
    Column("answers", JSON, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("void_at_ns", BigInteger, nullable=False, default=0),
    index_where("void_at_ns = 0", "one_vote_per_person", "hold", "person", unique=True),
    Index("votes_of", "person", "at_ns"),
    sqlite_autoincrement=True,
)

# When the content of a hold was first shown to somebody; kept while it is open (holds/reviewing.py).
views = Table(
    "views",
    metadata,
    Column("hold", String, ForeignKey("holds.id"), primary_key=True),
    Column("person", String, primary_key=True),
    Column("first_at_ns", BigInteger, nullable=False),
)

# How each vote came about, for signals alone: neither an approval nor the log depends on it. `viewed_at_ns` 0: never shown to this person.
reviews = Table(
    "reviews",
    metadata,
    Column("vote", String, primary_key=True),
    Column("person", String, nullable=False),
    Column("workflow", String, nullable=False),
    Column("tier", String, nullable=False),
    Column("decision", String, nullable=False),
    Column("viewed_at_ns", BigInteger, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("length", Integer, nullable=False),  # characters there were to read
    Column("in_view", Boolean, nullable=False),
    Column("after_hours", Boolean, nullable=False),
    Index("reviews_at", "at_ns"),
    Index("reviews_person", "person", "at_ns"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("number", SERIAL, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("created_ns", BigInteger, nullable=False),
    Column("hold", String, nullable=False, index=True),
    Column("kind", String, nullable=False),
    Column("body", JSON, nullable=False),
    Column("origin", String, nullable=False, server_default=""),  # the instance whose log it belongs in; "": of a release that had but one
    sqlite_autoincrement=True,
)
