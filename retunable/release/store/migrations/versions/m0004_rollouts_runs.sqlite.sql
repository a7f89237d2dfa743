-- Rollouts, each with its steps; and what replicas tell of runs, of which the counts stay.

CREATE TABLE release_rollouts (
    sequence INTEGER PRIMARY KEY NOT NULL REFERENCES release_audit,
    id TEXT NOT NULL UNIQUE,
    agent TEXT NOT NULL,
    environment TEXT NOT NULL,
    version INTEGER NOT NULL,
    checksum TEXT NOT NULL,
    FOREIGN KEY (agent, version) REFERENCES release_versions (agent, number)
);
CREATE INDEX release_rollouts_agent ON release_rollouts (agent, environment);

-- Without a step a rollout is running at its first stage.
CREATE TABLE release_rollout_steps (
    sequence INTEGER PRIMARY KEY NOT NULL REFERENCES release_audit,
    rollout TEXT NOT NULL REFERENCES release_rollouts (id),
    state TEXT NOT NULL CHECK (state IN
        ('running', 'paused', 'held', 'promoted', 'rolled back', 'stopped', 'aborted')),
    stage INTEGER NOT NULL CHECK (stage >= 0)
);
CREATE INDEX release_rollout_steps_rollout ON release_rollout_steps (rollout, sequence);

-- One row for each event of a run, by its event_id; arrived is the order in which they came. Not
-- append-only: rows of single users go 30 days after their rollout.
CREATE TABLE release_run_events (
    arrived INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL UNIQUE,
    arrived_at TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('exposure', 'outcome', 'feedback')),
    agent TEXT NOT NULL,
    environment TEXT NOT NULL,
    rollout TEXT,
    run TEXT NOT NULL,
    user_hmac TEXT,
    bucket INTEGER,
    arm TEXT,
    cohort INTEGER,
    variant TEXT,
    version INTEGER,
    checksum TEXT,
    pinned INTEGER,
    started_ms INTEGER NOT NULL,
    state TEXT,
    guardrail_failures INTEGER,
    limit_hit INTEGER,
    input_tokens INTEGER,
    output_tokens INTEGER,
    latency_ms INTEGER,
    cost REAL,
    rating INTEGER
);
CREATE INDEX release_run_events_rollout ON release_run_events (rollout, arrived);
CREATE INDEX release_run_events_time ON release_run_events (agent, environment, arrived_at);
CREATE INDEX release_run_events_run ON release_run_events (run);

CREATE TABLE release_run_counts (
    agent TEXT NOT NULL,
    environment TEXT NOT NULL,
    rollout TEXT NOT NULL,
    version INTEGER NOT NULL,
    variant TEXT NOT NULL,
    started INTEGER NOT NULL,
    finished INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    stopped INTEGER NOT NULL,
    guardrail_failures INTEGER NOT NULL,
    limit_hits INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    latency_ms INTEGER NOT NULL,
    cost REAL NOT NULL,
    liked INTEGER NOT NULL,
    disliked INTEGER NOT NULL,
    PRIMARY KEY (agent, environment, rollout, version, variant)
);

CREATE TRIGGER release_rollouts_no_update BEFORE UPDATE ON release_rollouts BEGIN
    SELECT RAISE(ABORT, 'UPDATE on release_rollouts is refused: the release store is append-only');
END;
CREATE TRIGGER release_rollouts_no_delete BEFORE DELETE ON release_rollouts BEGIN
    SELECT RAISE(ABORT, 'DELETE on release_rollouts is refused: the release store is append-only');
END;
CREATE TRIGGER release_rollouts_no_replace BEFORE INSERT ON release_rollouts WHEN
    EXISTS (SELECT 1 FROM release_rollouts WHERE sequence = NEW.sequence) OR
    EXISTS (SELECT 1 FROM release_rollouts WHERE id = NEW.id)
BEGIN
    SELECT RAISE(ABORT, 'a row of release_rollouts stands under this key: the release store is append-only');
END;
CREATE TRIGGER release_rollouts_has_entry BEFORE INSERT ON release_rollouts
WHEN NEW.sequence IS NOT (SELECT max(sequence) FROM release_audit) BEGIN
    SELECT RAISE(ABORT, 'a row of release_rollouts bears the number of the newest audit entry');
END;
CREATE TRIGGER release_rollouts_one_live BEFORE INSERT ON release_rollouts WHEN
    EXISTS (SELECT 1 FROM release_rollouts AS other
        WHERE other.agent = NEW.agent AND other.environment = NEW.environment
            AND NOT EXISTS (SELECT 1 FROM release_rollout_steps AS ended
                WHERE ended.rollout = other.id
                    AND ended.state IN ('promoted', 'rolled back', 'stopped', 'aborted')))
BEGIN
    SELECT RAISE(ABORT, 'a rollout of this agent in this environment goes on already');
END;

CREATE TRIGGER release_rollout_steps_no_update BEFORE UPDATE ON release_rollout_steps BEGIN
    SELECT RAISE(ABORT, 'UPDATE on release_rollout_steps is refused: the release store is append-only');
END;
CREATE TRIGGER release_rollout_steps_no_delete BEFORE DELETE ON release_rollout_steps BEGIN
    SELECT RAISE(ABORT, 'DELETE on release_rollout_steps is refused: the release store is append-only');
END;
CREATE TRIGGER release_rollout_steps_no_replace BEFORE INSERT ON release_rollout_steps WHEN
    EXISTS (SELECT 1 FROM release_rollout_steps WHERE sequence = NEW.sequence)
BEGIN
    SELECT RAISE(ABORT, 'a row of release_rollout_steps stands under this key: the release store is append-only');
END;
CREATE TRIGGER release_rollout_steps_has_entry BEFORE INSERT ON release_rollout_steps
WHEN NEW.sequence IS NOT (SELECT max(sequence) FROM release_audit) BEGIN
    SELECT RAISE(ABORT, 'a row of release_rollout_steps bears the number of the newest audit entry');
END;
CREATE TRIGGER release_rollout_steps_goes_on BEFORE INSERT ON release_rollout_steps WHEN
    EXISTS (SELECT 1 FROM release_rollout_steps AS ended WHERE ended.rollout = NEW.rollout
        AND ended.state IN ('promoted', 'rolled back', 'stopped', 'aborted'))
BEGIN
    SELECT RAISE(ABORT, 'this rollout has ended');
END;
