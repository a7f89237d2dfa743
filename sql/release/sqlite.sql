-- The release store on SQLite, whole: what the migrations of retunable/release/store/migrations add
-- up to. The library sets up a new file by itself; this one is to be read.
BEGIN;
-- Every row of the release store is the detail of one audit entry and bears its number: who, when
-- and why stand there once, and the chain of hashes covers all of it.
CREATE TABLE release_audit (
    sequence INTEGER PRIMARY KEY NOT NULL CHECK (sequence >= 1),
    at TEXT NOT NULL,
    actor TEXT NOT NULL,
    claimed TEXT,
    action TEXT NOT NULL,
    agent TEXT NOT NULL,
    environment TEXT,
    version INTEGER,
    old_version INTEGER,
    checksum TEXT,
    reason TEXT NOT NULL,
    data TEXT NOT NULL,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL
);
CREATE INDEX release_audit_agent ON release_audit (agent, sequence);

CREATE TABLE release_versions (
    sequence INTEGER PRIMARY KEY NOT NULL REFERENCES release_audit,
    id TEXT NOT NULL UNIQUE,
    agent TEXT NOT NULL,
    number INTEGER NOT NULL CHECK (number >= 1),
    parent INTEGER,
    source TEXT NOT NULL,
    schema_number INTEGER NOT NULL,
    checksum TEXT NOT NULL,
    config BLOB NOT NULL CHECK (typeof(config) = 'blob' AND length(config) BETWEEN 2 AND 1048576),
    UNIQUE (agent, number),
    FOREIGN KEY (agent, parent) REFERENCES release_versions (agent, number)
);

CREATE TABLE release_deployments (
    sequence INTEGER PRIMARY KEY NOT NULL REFERENCES release_audit,
    agent TEXT NOT NULL,
    environment TEXT NOT NULL,
    generation INTEGER NOT NULL CHECK (generation >= 1),
    version INTEGER,
    checksum TEXT,
    UNIQUE (agent, environment, generation),
    FOREIGN KEY (agent, version) REFERENCES release_versions (agent, number),
    CHECK ((version IS NULL) = (checksum IS NULL))
);

CREATE TABLE release_outcomes (
    sequence INTEGER PRIMARY KEY NOT NULL REFERENCES release_audit,
    deployment INTEGER NOT NULL UNIQUE REFERENCES release_deployments,
    outcome TEXT NOT NULL CHECK (outcome IN ('confirmed', 'withdrawn'))
);

-- What people and the library read: each detail with its who, when and why.
CREATE VIEW release_version_log AS
SELECT versions.sequence, audit.at, audit.actor, audit.claimed, audit.reason, versions.id,
    versions.agent, versions.number, versions.parent, versions.source, versions.schema_number,
    versions.checksum, length(versions.config) AS size_bytes
FROM release_versions AS versions JOIN release_audit AS audit USING (sequence);

CREATE VIEW release_deployment_log AS
SELECT deployments.sequence, audit.at, audit.actor, audit.claimed, audit.reason, audit.action,
    deployments.agent, deployments.environment, deployments.generation, deployments.version,
    deployments.checksum, audit.data, coalesce(outcomes.outcome, 'pending') AS state,
    settled.at AS settled_at
FROM release_deployments AS deployments
JOIN release_audit AS audit USING (sequence)
LEFT JOIN release_outcomes AS outcomes ON outcomes.deployment = deployments.sequence
LEFT JOIN release_audit AS settled ON settled.sequence = outcomes.sequence;

-- INSERT OR REPLACE deletes what stands in its way, and fires no DELETE trigger unless
-- recursive_triggers is on, which it is not in the sqlite3 shell. A BEFORE INSERT trigger runs first
-- everywhere: it refuses an existing key before anything is replaced.
CREATE TRIGGER release_audit_follows BEFORE INSERT ON release_audit
WHEN NEW.sequence IS NOT (SELECT coalesce(max(sequence), 0) + 1 FROM release_audit)
    OR NEW.previous IS NOT coalesce(
        (SELECT hash FROM release_audit ORDER BY sequence DESC LIMIT 1), printf('%064d', 0))
BEGIN
    SELECT RAISE(ABORT, 'this entry does not follow the newest one of release_audit');
END;
CREATE TRIGGER release_audit_no_update BEFORE UPDATE ON release_audit BEGIN
    SELECT RAISE(ABORT, 'UPDATE on release_audit is refused: the release store is append-only');
END;
CREATE TRIGGER release_audit_no_delete BEFORE DELETE ON release_audit BEGIN
    SELECT RAISE(ABORT, 'DELETE on release_audit is refused: the release store is append-only');
END;
CREATE TRIGGER release_versions_no_update BEFORE UPDATE ON release_versions BEGIN
    SELECT RAISE(ABORT, 'UPDATE on release_versions is refused: the release store is append-only');
END;
CREATE TRIGGER release_versions_no_delete BEFORE DELETE ON release_versions BEGIN
    SELECT RAISE(ABORT, 'DELETE on release_versions is refused: the release store is append-only');
END;
CREATE TRIGGER release_versions_no_replace BEFORE INSERT ON release_versions WHEN
    EXISTS (SELECT 1 FROM release_versions WHERE sequence = NEW.sequence) OR
    EXISTS (SELECT 1 FROM release_versions WHERE id = NEW.id) OR
    EXISTS (SELECT 1 FROM release_versions WHERE agent = NEW.agent AND number = NEW.number)
BEGIN
    SELECT RAISE(ABORT, 'a row of release_versions stands under this key: the release store is append-only');
END;
CREATE TRIGGER release_versions_has_entry BEFORE INSERT ON release_versions
WHEN NEW.sequence IS NOT (SELECT max(sequence) FROM release_audit) BEGIN
    SELECT RAISE(ABORT, 'a row of release_versions bears the number of the newest audit entry');
END;
CREATE TRIGGER release_deployments_no_update BEFORE UPDATE ON release_deployments BEGIN
    SELECT RAISE(ABORT, 'UPDATE on release_deployments is refused: the release store is append-only');
END;
CREATE TRIGGER release_deployments_no_delete BEFORE DELETE ON release_deployments BEGIN
    SELECT RAISE(ABORT, 'DELETE on release_deployments is refused: the release store is append-only');
END;
CREATE TRIGGER release_deployments_no_replace BEFORE INSERT ON release_deployments WHEN
    EXISTS (SELECT 1 FROM release_deployments WHERE sequence = NEW.sequence) OR
    EXISTS (SELECT 1 FROM release_deployments WHERE agent = NEW.agent AND environment = NEW.environment AND generation = NEW.generation)
BEGIN
    SELECT RAISE(ABORT, 'a row of release_deployments stands under this key: the release store is append-only');
END;
CREATE TRIGGER release_deployments_has_entry BEFORE INSERT ON release_deployments
WHEN NEW.sequence IS NOT (SELECT max(sequence) FROM release_audit) BEGIN
    SELECT RAISE(ABORT, 'a row of release_deployments bears the number of the newest audit entry');
END;
CREATE TRIGGER release_outcomes_no_update BEFORE UPDATE ON release_outcomes BEGIN
    SELECT RAISE(ABORT, 'UPDATE on release_outcomes is refused: the release store is append-only');
END;
CREATE TRIGGER release_outcomes_no_delete BEFORE DELETE ON release_outcomes BEGIN
    SELECT RAISE(ABORT, 'DELETE on release_outcomes is refused: the release store is append-only');
END;
CREATE TRIGGER release_outcomes_no_replace BEFORE INSERT ON release_outcomes WHEN
    EXISTS (SELECT 1 FROM release_outcomes WHERE sequence = NEW.sequence) OR
    EXISTS (SELECT 1 FROM release_outcomes WHERE deployment = NEW.deployment)
BEGIN
    SELECT RAISE(ABORT, 'a row of release_outcomes stands under this key: the release store is append-only');
END;
CREATE TRIGGER release_outcomes_has_entry BEFORE INSERT ON release_outcomes
WHEN NEW.sequence IS NOT (SELECT max(sequence) FROM release_audit) BEGIN
    SELECT RAISE(ABORT, 'a row of release_outcomes bears the number of the newest audit entry');
END;

-- Who approved which checksum where, and the rules that ask for it.
CREATE TABLE release_approvals (
    sequence INTEGER PRIMARY KEY NOT NULL REFERENCES release_audit,
    agent TEXT NOT NULL,
    environment TEXT NOT NULL,
    version INTEGER NOT NULL,
    checksum TEXT NOT NULL,
    approver TEXT NOT NULL,
    UNIQUE (agent, environment, version, approver),
    FOREIGN KEY (agent, version) REFERENCES release_versions (agent, number)
);

CREATE TABLE release_policies (
    sequence INTEGER PRIMARY KEY NOT NULL REFERENCES release_audit,
    agent TEXT NOT NULL,
    environment TEXT NOT NULL,
    revision INTEGER NOT NULL CHECK (revision >= 1),
    require_approval INTEGER NOT NULL CHECK (require_approval BETWEEN 0 AND 100),
    require_evaluation INTEGER NOT NULL CHECK (require_evaluation IN (0, 1)),
    UNIQUE (agent, environment, revision)
);

CREATE TRIGGER release_approvals_no_update BEFORE UPDATE ON release_approvals BEGIN
    SELECT RAISE(ABORT, 'UPDATE on release_approvals is refused: the release store is append-only');
END;
CREATE TRIGGER release_approvals_no_delete BEFORE DELETE ON release_approvals BEGIN
    SELECT RAISE(ABORT, 'DELETE on release_approvals is refused: the release store is append-only');
END;
CREATE TRIGGER release_approvals_no_replace BEFORE INSERT ON release_approvals WHEN
    EXISTS (SELECT 1 FROM release_approvals WHERE sequence = NEW.sequence) OR
    EXISTS (SELECT 1 FROM release_approvals WHERE agent = NEW.agent AND environment = NEW.environment AND version = NEW.version AND approver = NEW.approver)
BEGIN
    SELECT RAISE(ABORT, 'a row of release_approvals stands under this key: the release store is append-only');
END;
CREATE TRIGGER release_approvals_has_entry BEFORE INSERT ON release_approvals
WHEN NEW.sequence IS NOT (SELECT max(sequence) FROM release_audit) BEGIN
    SELECT RAISE(ABORT, 'a row of release_approvals bears the number of the newest audit entry');
END;
CREATE TRIGGER release_policies_no_update BEFORE UPDATE ON release_policies BEGIN
    SELECT RAISE(ABORT, 'UPDATE on release_policies is refused: the release store is append-only');
END;
CREATE TRIGGER release_policies_no_delete BEFORE DELETE ON release_policies BEGIN
    SELECT RAISE(ABORT, 'DELETE on release_policies is refused: the release store is append-only');
END;
CREATE TRIGGER release_policies_no_replace BEFORE INSERT ON release_policies WHEN
    EXISTS (SELECT 1 FROM release_policies WHERE sequence = NEW.sequence) OR
    EXISTS (SELECT 1 FROM release_policies WHERE agent = NEW.agent AND environment = NEW.environment AND revision = NEW.revision)
BEGIN
    SELECT RAISE(ABORT, 'a row of release_policies stands under this key: the release store is append-only');
END;
CREATE TRIGGER release_policies_has_entry BEFORE INSERT ON release_policies
WHEN NEW.sequence IS NOT (SELECT max(sequence) FROM release_audit) BEGIN
    SELECT RAISE(ABORT, 'a row of release_policies bears the number of the newest audit entry');
END;

-- What replicas tell: the latest heartbeat of each, and the changes of the configuration store that
-- no command of ours made.

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
    rating INTEGER,
    tool_code TEXT
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

-- The library asks the same before it writes; this holds for the sqlite3 shell too. Who somebody is
-- only the file's permissions know here. What stands is kept as it is.

-- Somebody says yes for themselves, to the bytes that were saved, and never to their own version.
CREATE TRIGGER release_approvals_own_entry BEFORE INSERT ON release_approvals
WHEN EXISTS (SELECT 1 FROM release_audit WHERE sequence = NEW.sequence
    AND (action <> 'approve' OR actor <> NEW.approver))
BEGIN
    SELECT RAISE(ABORT, 'an approval is by the actor of the newest audit entry, which says approve');
END;
CREATE TRIGGER release_approvals_not_the_author BEFORE INSERT ON release_approvals
WHEN EXISTS (SELECT 1 FROM release_versions AS versions JOIN release_audit AS audit USING (sequence)
    WHERE versions.agent = NEW.agent AND versions.number = NEW.version
        AND audit.actor = NEW.approver)
BEGIN
    SELECT RAISE(ABORT, 'nobody approves their own version; somebody else has to: retune approve');
END;
CREATE TRIGGER release_approvals_exact BEFORE INSERT ON release_approvals
WHEN EXISTS (SELECT 1 FROM release_versions
    WHERE agent = NEW.agent AND number = NEW.version AND checksum <> NEW.checksum)
BEGIN
    SELECT RAISE(ABORT, 'an approval names the checksum of its version');
END;

CREATE TRIGGER release_deployments_exact BEFORE INSERT ON release_deployments
WHEN EXISTS (SELECT 1 FROM release_versions
    WHERE agent = NEW.agent AND number = NEW.version AND checksum <> NEW.checksum)
BEGIN
    SELECT RAISE(ABORT, 'a deployment names the checksum of its version');
END;
-- A version becomes active where as many people as the newest policy asks have approved its bytes.
-- What ran there before comes back without being asked again: an emergency does not wait.
CREATE TRIGGER release_deployments_approved BEFORE INSERT ON release_deployments
WHEN NEW.version IS NOT NULL
    AND (SELECT count(*) FROM release_approvals
        WHERE agent = NEW.agent AND environment = NEW.environment AND version = NEW.version
            AND checksum = NEW.checksum AND approver <> (SELECT audit.actor
                FROM release_versions AS versions JOIN release_audit AS audit USING (sequence)
                WHERE versions.agent = NEW.agent AND versions.number = NEW.version))
        < coalesce((SELECT require_approval FROM release_policies
            WHERE agent = NEW.agent AND environment = NEW.environment
            ORDER BY revision DESC LIMIT 1), 0)
    AND NOT (coalesce((SELECT action FROM release_audit WHERE sequence = NEW.sequence), '')
            IN ('rollback', 'canary', 'flag')
        AND EXISTS (SELECT 1 FROM release_deployments AS deployments
            JOIN release_outcomes AS outcomes ON outcomes.deployment = deployments.sequence
            WHERE deployments.agent = NEW.agent AND deployments.environment = NEW.environment
                AND deployments.checksum = NEW.checksum AND outcomes.outcome = 'confirmed'))
BEGIN
    SELECT RAISE(ABORT, 'this environment asks for more approvals of this version by others than its author: retune approve');
END;

-- The library asks the same before it writes; this holds for the sqlite3 shell too. What stands is
-- kept as it is.

-- Some users get a canary: it needs the same as an activation, before it is published. One that a
-- rollout goes on with is carried on by whatever is published beside it, whoever asks for more since.
CREATE TRIGGER release_deployments_canary_exact BEFORE INSERT ON release_deployments
WHEN EXISTS (SELECT 1 FROM release_audit AS audit WHERE audit.sequence = NEW.sequence
    AND json_type(audit.data, '$.parts.canary') <> 'null'
    AND NOT EXISTS (SELECT 1 FROM release_versions AS versions WHERE versions.agent = NEW.agent
        AND versions.number = json_extract(audit.data, '$.parts.canary.version')
        AND versions.checksum = json_extract(audit.data, '$.parts.canary.checksum')))
BEGIN
    SELECT RAISE(ABORT, 'a canary names a version and its checksum');
END;
CREATE TRIGGER release_deployments_canary_approved BEFORE INSERT ON release_deployments
WHEN EXISTS (SELECT 1 FROM release_audit AS entry JOIN release_versions AS versions
        ON versions.number = json_extract(entry.data, '$.parts.canary.version')
        JOIN release_audit AS saved ON saved.sequence = versions.sequence
    WHERE entry.sequence = NEW.sequence AND versions.agent = NEW.agent
        AND (SELECT count(*) FROM release_approvals AS approvals
            WHERE approvals.agent = NEW.agent AND approvals.environment = NEW.environment
                AND approvals.version = versions.number AND approvals.checksum = versions.checksum
                AND approvals.approver <> saved.actor)
            < coalesce((SELECT require_approval FROM release_policies
                WHERE agent = NEW.agent AND environment = NEW.environment
                ORDER BY revision DESC LIMIT 1), 0)
        AND NOT EXISTS (SELECT 1 FROM release_rollouts AS rollouts
            WHERE rollouts.agent = NEW.agent AND rollouts.environment = NEW.environment
                AND rollouts.version = versions.number AND rollouts.checksum = versions.checksum
                AND NOT EXISTS (SELECT 1 FROM release_rollout_steps AS ended
                    WHERE ended.rollout = rollouts.id
                        AND ended.state IN ('promoted', 'rolled back', 'stopped', 'aborted'))))
BEGIN
    SELECT RAISE(ABORT, 'this environment asks for more approvals of this canary by others than its author: retune approve');
END;

-- The rollout is written down when its first stage is published: what its deployment was let pass
-- with is not asked again, or a policy that came in between would leave the two apart.
CREATE TRIGGER release_rollouts_exact BEFORE INSERT ON release_rollouts
WHEN EXISTS (SELECT 1 FROM release_versions
    WHERE agent = NEW.agent AND number = NEW.version AND checksum <> NEW.checksum)
BEGIN
    SELECT RAISE(ABORT, 'a rollout names the checksum of its version');
END;
CREATE TRIGGER release_rollouts_approved BEFORE INSERT ON release_rollouts
WHEN (SELECT count(*) FROM release_approvals
        WHERE agent = NEW.agent AND environment = NEW.environment AND version = NEW.version
            AND checksum = NEW.checksum AND approver <> (SELECT audit.actor
                FROM release_versions AS versions JOIN release_audit AS audit USING (sequence)
                WHERE versions.agent = NEW.agent AND versions.number = NEW.version))
        < coalesce((SELECT require_approval FROM release_policies
            WHERE agent = NEW.agent AND environment = NEW.environment
            ORDER BY revision DESC LIMIT 1), 0)
    AND NOT EXISTS (SELECT 1 FROM release_deployments AS deployments
        JOIN release_audit AS audit USING (sequence)
        WHERE deployments.agent = NEW.agent AND deployments.environment = NEW.environment
            AND json_extract(audit.data, '$.parts.rollout.id') = NEW.id
            AND json_extract(audit.data, '$.parts.canary.version') = NEW.version
            AND json_extract(audit.data, '$.parts.canary.checksum') = NEW.checksum)
BEGIN
    SELECT RAISE(ABORT, 'this environment asks for more approvals of this canary by others than its author: retune approve');
END;

-- Where the analysis of a rollout stood, so that whoever starts anew reads the rest alone. It can be
-- deleted at any time: what it says is worked out again from release_run_events.

CREATE TABLE release_rollout_checkpoints (
    rollout TEXT PRIMARY KEY NOT NULL REFERENCES release_rollouts (id),
    arrived INTEGER NOT NULL,
    data TEXT NOT NULL
);
-- Whether somebody was enrolled before a checkpoint is asked of the events themselves.
CREATE INDEX release_run_events_user ON release_run_events (user_hmac, rollout, arrived)
    WHERE user_hmac IS NOT NULL;

-- Which migrations this is the sum of.
CREATE TABLE release_schema (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT release_schema_pkc PRIMARY KEY (version_num)
);
INSERT INTO release_schema (version_num) VALUES ('0009');
COMMIT;
