"""The tables, portable between SQLite and PostgreSQL.

Columns that hold what an agent or a person wrote are bytes, and only ever ciphertext (holds/crypto.py): `data_key`, `request`,
`question`, `before`, `original`, `response`, `evidence`, `note`, `sealed`, `answer`. Times are nanoseconds since the epoch, 0 = not set.
A change here raises `SCHEMA`.
"""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table, Text, false, text, true

SCHEMA = 6
APPLICATION = "stagewarden"

# One hold at most for one repeat while it is open, or while nobody knows what became of it (lifecycles.md, "A repeat").
SINGLE = "state IN ('pending', 'settling', 'approved', 'claimed', 'sent', 'unknown')"
WAITS = "state = 'pending'"  # written out in each statement: no planner matches a parameter with an index of part of the rows

_REPEAT = ("agent", "workflow", "initiator", "repeat_digest")

metadata = MetaData()
_Serial = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself for INTEGER alone

meta = Table(
    "meta",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False),
)

holds = Table(
    "holds",
    metadata,
    Column("number", _Serial, primary_key=True, autoincrement=True),
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
    Index("one_hold_per_repeat", *_REPEAT, unique=True, sqlite_where=text(SINGLE), postgresql_where=text(SINGLE)),
    Index("holds_repeats", "repeat_digest", "agent"),
    Index("holds_state", "state", "asked_at_ns"),
    Index("holds_asked", "asked_at_ns", "id"),
    Index("holds_agent", "agent", "state"),
    Index("holds_asset", "upstream", "asset"),
    Index("holds_alike", "agent", "kind", "upstream", "asked_at_ns", "id"),
    Index("holds_lots", "state", "asked", "lot", "expires_at_ns", "asked_at_ns", sqlite_where=text(WAITS), postgresql_where=text(WAITS)),
    Index(
        "holds_due", "state", "asked", "expires_at_ns", "id", "lot", "asset", "asked_at_ns", sqlite_where=text(WAITS), postgresql_where=text(WAITS)
    ),
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
    Column("number", _Serial, primary_key=True, autoincrement=True),
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
    Index("one_vote_per_person", "hold", "person", unique=True, sqlite_where=text("void_at_ns = 0"), postgresql_where=text("void_at_ns = 0")),
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
    Column("number", _Serial, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("created_ns", BigInteger, nullable=False),
    Column("hold", String, nullable=False, index=True),
    Column("kind", String, nullable=False),
    Column("body", JSON, nullable=False),
    Column("origin", String, nullable=False, server_default=""),  # the instance whose log it belongs in; "": of a release that had but one
    sqlite_autoincrement=True,
)

# Registries of a production house: the one in force, and those that would widen rights and wait for people (governance section 1). Plain:
# what they say stands in registry.yaml too.
revisions = Table(
    "registry_revisions",
    metadata,
    Column("number", _Serial, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("state", String, nullable=False),  # waiting, in_force, replaced
    Column("base", String, nullable=False),  # digest of the one it was compared with; empty for the first
    Column("digest", String, nullable=False),
    Column("document", Text, nullable=False),
    Column("since_ns", BigInteger, nullable=False),
    Index("one_registry_in_force", "state", unique=True, sqlite_where=text("state = 'in_force'"), postgresql_where=text("state = 'in_force'")),
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
    Column("number", _Serial, primary_key=True, autoincrement=True),
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

# When each token of the tokens file was last used; `token` is its SHA-256, as in that file (identity/uses.py).
token_uses = Table(
    "token_uses",
    metadata,
    Column("token", String, primary_key=True),
    Column("last_ns", BigInteger, nullable=False),
)

# Grants (lifecycles.md, "A grant"). `terms` are what people voted on; what the sidecar asks for by itself stands in columns beside them.
grants = Table(
    "grants",
    metadata,
    Column("number", _Serial, primary_key=True, autoincrement=True),
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
    Column("number", _Serial, primary_key=True, autoincrement=True),
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
    Column("number", _Serial, primary_key=True, autoincrement=True),
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

# What people are to hear of, written by the transaction that strikes its entry off the outbox: it is in the log, and in nobody's ear yet.
notices = Table(
    "notices",
    metadata,
    Column("number", _Serial, primary_key=True, autoincrement=True),
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
    Column("number", _Serial, primary_key=True, autoincrement=True),
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

# Votes through adapters: an id is good once, a token is good once, and one seat of a hold may be filled so.
adapter_votes = Table(
    "adapter_votes",
    metadata,
    Column("number", _Serial, primary_key=True, autoincrement=True),
    Column("adapter", String, nullable=False),
    Column("callback", String, nullable=False),  # the adapter's own id for it
    Column("token", String, nullable=False, unique=True),  # digest of issuer and token id
    Column("hold", String, nullable=False),
    Column("person", String, nullable=False),
    Column("state", String, nullable=False),  # begun, cast, refused
    Column("at_ns", BigInteger, nullable=False),
    Index("one_callback", "adapter", "callback", unique=True),
    Index("one_seat_by_adapter", "hold", unique=True, sqlite_where=text("state != 'refused'"), postgresql_where=text("state != 'refused'")),
    sqlite_autoincrement=True,
)
