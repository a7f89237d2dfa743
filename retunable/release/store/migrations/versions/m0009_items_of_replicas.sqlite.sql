-- Made anew, for SQLite takes no NOT NULL away; every live replica fills its row within seconds.
DROP TABLE release_replicas;

-- Not append-only: it says how things are now. seen_at is by this database's clock, at_ms by the
-- replica's; rejected and items are JSON, items NULL where the replica never read its store.
CREATE TABLE release_replicas (
    agent TEXT NOT NULL,
    environment TEXT NOT NULL,
    replica TEXT NOT NULL,
    seen_at TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    interval_ms INTEGER NOT NULL CHECK (interval_ms >= 1),
    revision INTEGER NOT NULL,
    generation INTEGER,
    version INTEGER,
    status TEXT NOT NULL,
    stream TEXT,
    rejected TEXT NOT NULL,
    items TEXT,
    PRIMARY KEY (agent, environment, replica)
);
