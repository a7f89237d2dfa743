-- What replicas tell: the latest heartbeat of each, and the changes of the configuration store that
-- no command of ours made.

-- Not append-only: it says how things are now. seen_at is by this database's clock, at_ms by the
-- replica's; rejected and override_keys are JSON.
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
    override_keys TEXT NOT NULL,
    address TEXT,
    PRIMARY KEY (agent, environment, replica)
);

-- change is a hash of key, old and new, which stand in the audit entry.
CREATE TABLE release_observations (
    sequence INTEGER PRIMARY KEY NOT NULL REFERENCES release_audit,
    agent TEXT NOT NULL,
    environment TEXT NOT NULL,
    change TEXT NOT NULL,
    not_before_ms INTEGER NOT NULL,
    not_after_ms INTEGER NOT NULL
);
CREATE INDEX release_observations_change ON release_observations (agent, environment, change);

-- Who told of an observation: the same event twice counts once, and so does what two replicas saw.
CREATE TABLE release_observation_reports (
    event_id TEXT PRIMARY KEY NOT NULL,
    sequence INTEGER REFERENCES release_observations,
    replica TEXT NOT NULL
);
CREATE INDEX release_observation_reports_sequence ON release_observation_reports (sequence);

CREATE TRIGGER release_observations_no_update BEFORE UPDATE ON release_observations BEGIN
    SELECT RAISE(ABORT, 'UPDATE on release_observations is refused: the release store is append-only');
END;
CREATE TRIGGER release_observations_no_delete BEFORE DELETE ON release_observations BEGIN
    SELECT RAISE(ABORT, 'DELETE on release_observations is refused: the release store is append-only');
END;
CREATE TRIGGER release_observations_no_replace BEFORE INSERT ON release_observations WHEN
    EXISTS (SELECT 1 FROM release_observations WHERE sequence = NEW.sequence)
BEGIN
    SELECT RAISE(ABORT, 'a row of release_observations stands under this key: the release store is append-only');
END;
CREATE TRIGGER release_observations_has_entry BEFORE INSERT ON release_observations
WHEN NEW.sequence IS NOT (SELECT max(sequence) FROM release_audit) BEGIN
    SELECT RAISE(ABORT, 'a row of release_observations bears the number of the newest audit entry');
END;
