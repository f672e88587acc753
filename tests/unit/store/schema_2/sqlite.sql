-- Schema 2 as the first release makes it on SQLite. Never changed: databases like this one exist.
CREATE TABLE holds (
    number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    id VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    ruling VARCHAR NOT NULL,
    digest VARCHAR NOT NULL,
    view_digest VARCHAR NOT NULL,
    repeat_digest VARCHAR NOT NULL,
    agent VARCHAR NOT NULL,
    workflow VARCHAR NOT NULL,
    initiator VARCHAR NOT NULL,
    upstream VARCHAR NOT NULL,
    stage VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    asset VARCHAR,
    lookup_digest VARCHAR,
    after_digest VARCHAR,
    tier VARCHAR NOT NULL,
    reasons JSON NOT NULL,
    seats JSON NOT NULL,
    questions JSON NOT NULL,
    principal JSON NOT NULL,
    method VARCHAR NOT NULL,
    path VARCHAR NOT NULL,
    asked_at_ns BIGINT NOT NULL,
    expires_at_ns BIGINT NOT NULL,
    approved_at_ns BIGINT NOT NULL,
    use_by_ns BIGINT NOT NULL,
    ended_at_ns BIGINT NOT NULL,
    attempt VARCHAR,
    fence INTEGER NOT NULL,
    lease_until_ns BIGINT NOT NULL,
    not_before_ns BIGINT NOT NULL,
    successor VARCHAR,
    ended_by VARCHAR,
    data_key BLOB,
    request BLOB,
    question BLOB,
    "before" BLOB,
    response BLOB,
    UNIQUE (id)
);
CREATE INDEX holds_agent ON holds (agent, state);
CREATE INDEX holds_asked ON holds (asked_at_ns, id);
CREATE INDEX holds_asset ON holds (upstream, asset);
CREATE INDEX holds_repeats ON holds (repeat_digest, agent);
CREATE INDEX holds_state ON holds (state, asked_at_ns);
CREATE UNIQUE INDEX one_hold_per_repeat ON holds (agent, workflow, initiator, repeat_digest) WHERE state IN ('pending', 'approved', 'claimed', 'sent', 'unknown');
CREATE TABLE meta (
    name VARCHAR NOT NULL,
    value VARCHAR NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE outbox (
    number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    id VARCHAR NOT NULL,
    created_ns BIGINT NOT NULL,
    hold VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    body JSON NOT NULL,
    UNIQUE (id)
);
CREATE INDEX ix_outbox_hold ON outbox (hold);
CREATE TABLE bodies (
    hold VARCHAR NOT NULL,
    number INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (hold, number),
    FOREIGN KEY(hold) REFERENCES holds (id)
);
CREATE TABLE votes (
    number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    id VARCHAR NOT NULL,
    hold VARCHAR NOT NULL,
    person VARCHAR NOT NULL,
    function VARCHAR NOT NULL,
    decision VARCHAR NOT NULL,
    reason VARCHAR,
    note BLOB,
    digest VARCHAR NOT NULL,
    view_digest VARCHAR NOT NULL,
    answers JSON NOT NULL,
    at_ns BIGINT NOT NULL,
    void_at_ns BIGINT NOT NULL,
    UNIQUE (id),
    FOREIGN KEY(hold) REFERENCES holds (id)
);
CREATE UNIQUE INDEX one_vote_per_person ON votes (hold, person) WHERE void_at_ns = 0;
