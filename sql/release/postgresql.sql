-- The release store on PostgreSQL 14 or later, whole: what the migrations of
-- retunable/release/store/migrations add up to. For a new store, by whoever shall own it:
--     psql "$DATABASE_URL" -v ON_ERROR_STOP=1 -f sql/release/postgresql.sql -f sql/roles.sql
-- Everything goes into the first schema of the search path. What each object is: sql/release/README.md.
BEGIN;
SELECT set_config('search_path', format('%I, pg_temp', current_schema()), true);

-- Every row of the release store is the detail of one audit entry and bears its number: who, when
-- and why stand there once, and the chain of hashes covers all of it.
CREATE TABLE release_audit (
    sequence bigint PRIMARY KEY CHECK (sequence >= 1),
    at timestamptz NOT NULL,
    actor text NOT NULL,
    claimed text,
    action text NOT NULL,
    agent text NOT NULL,
    environment text,
    version bigint,
    old_version bigint,
    checksum text,
    reason text NOT NULL,
    data text NOT NULL,
    previous text NOT NULL,
    hash text NOT NULL
);
CREATE INDEX release_audit_agent ON release_audit (agent, sequence);

CREATE TABLE release_versions (
    sequence bigint PRIMARY KEY REFERENCES release_audit,
    id text NOT NULL UNIQUE,
    agent text NOT NULL,
    number bigint NOT NULL CHECK (number >= 1),
    parent bigint,
    source text NOT NULL,
    schema_number integer NOT NULL,
    checksum text NOT NULL,
    config bytea NOT NULL CHECK (octet_length(config) BETWEEN 2 AND 1048576),
    UNIQUE (agent, number),
    FOREIGN KEY (agent, parent) REFERENCES release_versions (agent, number),
    CHECK (checksum = schema_number || ':sha256:' || encode(sha256(config), 'hex'))
);

CREATE TABLE release_deployments (
    sequence bigint PRIMARY KEY REFERENCES release_audit,
    agent text NOT NULL,
    environment text NOT NULL,
    generation bigint NOT NULL CHECK (generation >= 1),
    version bigint,
    checksum text,
    UNIQUE (agent, environment, generation),
    FOREIGN KEY (agent, version) REFERENCES release_versions (agent, number),
    CHECK ((version IS NULL) = (checksum IS NULL))
);

CREATE TABLE release_outcomes (
    sequence bigint PRIMARY KEY REFERENCES release_audit,
    deployment bigint NOT NULL UNIQUE REFERENCES release_deployments,
    outcome text NOT NULL CHECK (outcome IN ('confirmed', 'withdrawn'))
);

-- What people and the library read: each detail with its who, when and why.
CREATE VIEW release_version_log AS
SELECT versions.sequence, audit.at, audit.actor, audit.claimed, audit.reason, versions.id,
    versions.agent, versions.number, versions.parent, versions.source, versions.schema_number,
    versions.checksum, octet_length(versions.config) AS size_bytes
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

CREATE FUNCTION release_append_only() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
        MESSAGE = format('%s on %s is refused: the release store is append-only', TG_OP, TG_TABLE_NAME),
        HINT = 'Record what is right now; what was stays readable.';
END $$;

-- A writer says who and when itself, for the hash covers both; here it is held to the truth.
CREATE FUNCTION release_check_entry() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    last record;
BEGIN
    IF NEW.actor <> session_user THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = format('actor must be %s, who is logged in, got %s', session_user, NEW.actor),
            HINT = 'Another name belongs in the column claimed.';
    ELSIF NEW.at NOT BETWEEN transaction_timestamp() AND clock_timestamp() THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation',
            MESSAGE = format('at must be the time of this transaction, got %s', NEW.at),
            HINT = 'Take clock_timestamp() of this database.';
    END IF;
    SELECT sequence, hash INTO last FROM release_audit ORDER BY sequence DESC LIMIT 1;
    IF NEW.sequence <> coalesce(last.sequence, 0) + 1
        OR NEW.previous <> coalesce(last.hash, repeat('0', 64)) THEN
        RAISE EXCEPTION USING ERRCODE = 'serialization_failure',
            MESSAGE = format('entry %s does not follow entry %s', NEW.sequence,
                coalesce(last.sequence, 0)),
            HINT = 'Somebody wrote at the same time; take the release store''s lock first.';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION release_check_detail() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NEW.sequence <> coalesce((SELECT max(sequence) FROM release_audit), 0) THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation',
            MESSAGE = format('a row of %s bears the number of the newest audit entry, got %s',
                TG_TABLE_NAME, NEW.sequence),
            HINT = 'Write the entry and its detail in one transaction, as the library does.';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER release_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON release_audit
    FOR EACH STATEMENT EXECUTE FUNCTION release_append_only();
CREATE TRIGGER release_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON release_versions
    FOR EACH STATEMENT EXECUTE FUNCTION release_append_only();
CREATE TRIGGER release_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON release_deployments
    FOR EACH STATEMENT EXECUTE FUNCTION release_append_only();
CREATE TRIGGER release_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON release_outcomes
    FOR EACH STATEMENT EXECUTE FUNCTION release_append_only();

CREATE TRIGGER release_check_entry BEFORE INSERT ON release_audit
    FOR EACH ROW EXECUTE FUNCTION release_check_entry();
CREATE TRIGGER release_check_detail BEFORE INSERT ON release_versions
    FOR EACH ROW EXECUTE FUNCTION release_check_detail();
CREATE TRIGGER release_check_detail BEFORE INSERT ON release_deployments
    FOR EACH ROW EXECUTE FUNCTION release_check_detail();
CREATE TRIGGER release_check_detail BEFORE INSERT ON release_outcomes
    FOR EACH ROW EXECUTE FUNCTION release_check_detail();

-- ALWAYS: session_replication_role = replica does not switch them off.
ALTER TABLE release_audit ENABLE ALWAYS TRIGGER release_append_only,
    ENABLE ALWAYS TRIGGER release_check_entry;
ALTER TABLE release_versions ENABLE ALWAYS TRIGGER release_append_only,
    ENABLE ALWAYS TRIGGER release_check_detail;
ALTER TABLE release_deployments ENABLE ALWAYS TRIGGER release_append_only,
    ENABLE ALWAYS TRIGGER release_check_detail;
ALTER TABLE release_outcomes ENABLE ALWAYS TRIGGER release_append_only,
    ENABLE ALWAYS TRIGGER release_check_detail;

REVOKE ALL ON FUNCTION release_append_only(), release_check_entry(), release_check_detail() FROM PUBLIC;

-- Who approved which checksum where, and the rules that ask for it.
CREATE TABLE release_approvals (
    sequence bigint PRIMARY KEY REFERENCES release_audit,
    agent text NOT NULL,
    environment text NOT NULL,
    version bigint NOT NULL,
    checksum text NOT NULL,
    approver text NOT NULL,
    UNIQUE (agent, environment, version, approver),
    FOREIGN KEY (agent, version) REFERENCES release_versions (agent, number)
);

CREATE TABLE release_policies (
    sequence bigint PRIMARY KEY REFERENCES release_audit,
    agent text NOT NULL,
    environment text NOT NULL,
    revision bigint NOT NULL CHECK (revision >= 1),
    require_approval integer NOT NULL CHECK (require_approval BETWEEN 0 AND 100),
    require_evaluation boolean NOT NULL,
    UNIQUE (agent, environment, revision)
);

CREATE TRIGGER release_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON release_approvals
    FOR EACH STATEMENT EXECUTE FUNCTION release_append_only();
CREATE TRIGGER release_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON release_policies
    FOR EACH STATEMENT EXECUTE FUNCTION release_append_only();
CREATE TRIGGER release_check_detail BEFORE INSERT ON release_approvals
    FOR EACH ROW EXECUTE FUNCTION release_check_detail();
CREATE TRIGGER release_check_detail BEFORE INSERT ON release_policies
    FOR EACH ROW EXECUTE FUNCTION release_check_detail();

ALTER TABLE release_approvals ENABLE ALWAYS TRIGGER release_append_only,
    ENABLE ALWAYS TRIGGER release_check_detail;
ALTER TABLE release_policies ENABLE ALWAYS TRIGGER release_append_only,
    ENABLE ALWAYS TRIGGER release_check_detail;

-- What replicas tell: the latest heartbeat of each, and the changes of the configuration store that
-- no command of ours made.

-- Not append-only: it says how things are now. seen_at is by this database's clock, at_ms by the
-- replica's; rejected and items are JSON, items NULL where the replica never read its store.
CREATE TABLE release_replicas (
    agent text NOT NULL,
    environment text NOT NULL,
    replica text NOT NULL,
    seen_at timestamptz NOT NULL,
    at_ms bigint NOT NULL,
    interval_ms integer NOT NULL CHECK (interval_ms >= 1),
    revision bigint NOT NULL,
    generation bigint,
    version bigint,
    status text NOT NULL,
    stream text,
    rejected text NOT NULL,
    items text,
    PRIMARY KEY (agent, environment, replica)
);

-- change is a hash of key, old and new, which stand in the audit entry.
CREATE TABLE release_observations (
    sequence bigint PRIMARY KEY REFERENCES release_audit,
    agent text NOT NULL,
    environment text NOT NULL,
    change text NOT NULL,
    not_before_ms bigint NOT NULL,
    not_after_ms bigint NOT NULL
);
CREATE INDEX release_observations_change ON release_observations (agent, environment, change);

-- Who told of an observation: the same event twice counts once, and so does what two replicas saw.
CREATE TABLE release_observation_reports (
    event_id text PRIMARY KEY,
    sequence bigint REFERENCES release_observations,
    replica text NOT NULL
);
CREATE INDEX release_observation_reports_sequence ON release_observation_reports (sequence);

CREATE TRIGGER release_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON release_observations
    FOR EACH STATEMENT EXECUTE FUNCTION release_append_only();
CREATE TRIGGER release_check_detail BEFORE INSERT ON release_observations
    FOR EACH ROW EXECUTE FUNCTION release_check_detail();

ALTER TABLE release_observations ENABLE ALWAYS TRIGGER release_append_only,
    ENABLE ALWAYS TRIGGER release_check_detail;

-- Rollouts, each with its steps; and what replicas tell of runs, of which the counts stay.

CREATE TABLE release_rollouts (
    sequence bigint PRIMARY KEY REFERENCES release_audit,
    id text NOT NULL UNIQUE,
    agent text NOT NULL,
    environment text NOT NULL,
    version bigint NOT NULL,
    checksum text NOT NULL,
    FOREIGN KEY (agent, version) REFERENCES release_versions (agent, number)
);
CREATE INDEX release_rollouts_agent ON release_rollouts (agent, environment);

-- Without a step a rollout is running at its first stage.
CREATE TABLE release_rollout_steps (
    sequence bigint PRIMARY KEY REFERENCES release_audit,
    rollout text NOT NULL REFERENCES release_rollouts (id),
    state text NOT NULL CHECK (state IN
        ('running', 'paused', 'held', 'promoted', 'rolled back', 'stopped', 'aborted')),
    stage integer NOT NULL CHECK (stage >= 0)
);
CREATE INDEX release_rollout_steps_rollout ON release_rollout_steps (rollout, sequence);

-- One row for each event of a run, by its event_id; arrived is the order in which they came. Not
-- append-only: rows of single users go 30 days after their rollout.
CREATE TABLE release_run_events (
    arrived bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id text NOT NULL UNIQUE,
    arrived_at timestamptz NOT NULL,
    kind text NOT NULL CHECK (kind IN ('exposure', 'outcome', 'feedback')),
    agent text NOT NULL,
    environment text NOT NULL,
    rollout text,
    run text NOT NULL,
    user_hmac text,
    bucket integer,
    arm text,
    cohort integer,
    variant text,
    version bigint,
    checksum text,
    pinned boolean,
    started_ms bigint NOT NULL,
    state text,
    guardrail_failures bigint,
    limit_hit boolean,
    input_tokens bigint,
    output_tokens bigint,
    latency_ms bigint,
    cost double precision,
    rating integer,
    tool_code text
);
CREATE INDEX release_run_events_rollout ON release_run_events (rollout, arrived);
CREATE INDEX release_run_events_time ON release_run_events (agent, environment, arrived_at);
CREATE INDEX release_run_events_run ON release_run_events (run);

CREATE TABLE release_run_counts (
    agent text NOT NULL,
    environment text NOT NULL,
    rollout text NOT NULL,
    version bigint NOT NULL,
    variant text NOT NULL,
    started bigint NOT NULL,
    finished bigint NOT NULL,
    failed bigint NOT NULL,
    stopped bigint NOT NULL,
    guardrail_failures bigint NOT NULL,
    limit_hits bigint NOT NULL,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    latency_ms bigint NOT NULL,
    cost double precision NOT NULL,
    liked bigint NOT NULL,
    disliked bigint NOT NULL,
    PRIMARY KEY (agent, environment, rollout, version, variant)
);

CREATE FUNCTION release_one_live_rollout() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (SELECT FROM release_rollouts AS other
        WHERE other.agent = NEW.agent AND other.environment = NEW.environment
            AND NOT EXISTS (SELECT FROM release_rollout_steps AS ended
                WHERE ended.rollout = other.id
                    AND ended.state IN ('promoted', 'rolled back', 'stopped', 'aborted'))) THEN
        RAISE EXCEPTION USING ERRCODE = 'unique_violation',
            MESSAGE = format('a rollout of %s in %s goes on already', NEW.agent, NEW.environment),
            HINT = 'End it first: retune canary abort or promote.';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION release_rollout_goes_on() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (SELECT FROM release_rollout_steps AS ended WHERE ended.rollout = NEW.rollout
        AND ended.state IN ('promoted', 'rolled back', 'stopped', 'aborted')) THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation',
            MESSAGE = format('rollout %s has ended', NEW.rollout),
            HINT = 'Start another one.';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER release_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON release_rollouts
    FOR EACH STATEMENT EXECUTE FUNCTION release_append_only();
CREATE TRIGGER release_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON release_rollout_steps
    FOR EACH STATEMENT EXECUTE FUNCTION release_append_only();
CREATE TRIGGER release_check_detail BEFORE INSERT ON release_rollouts
    FOR EACH ROW EXECUTE FUNCTION release_check_detail();
CREATE TRIGGER release_check_detail BEFORE INSERT ON release_rollout_steps
    FOR EACH ROW EXECUTE FUNCTION release_check_detail();
CREATE TRIGGER release_one_live_rollout BEFORE INSERT ON release_rollouts
    FOR EACH ROW EXECUTE FUNCTION release_one_live_rollout();
CREATE TRIGGER release_rollout_goes_on BEFORE INSERT ON release_rollout_steps
    FOR EACH ROW EXECUTE FUNCTION release_rollout_goes_on();

ALTER TABLE release_rollouts ENABLE ALWAYS TRIGGER release_append_only,
    ENABLE ALWAYS TRIGGER release_check_detail, ENABLE ALWAYS TRIGGER release_one_live_rollout;
ALTER TABLE release_rollout_steps ENABLE ALWAYS TRIGGER release_append_only,
    ENABLE ALWAYS TRIGGER release_check_detail, ENABLE ALWAYS TRIGGER release_rollout_goes_on;

REVOKE ALL ON FUNCTION release_one_live_rollout(), release_rollout_goes_on() FROM PUBLIC;

-- The library asks the same before it writes; this holds for psql too. What stands is kept as it is.
-- Somebody says yes for themselves, to the bytes that were saved, and never to their own version.
CREATE FUNCTION release_check_approval() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    entry release_audit;
    saved record;
BEGIN
    SELECT * INTO entry FROM release_audit WHERE sequence = NEW.sequence;
    SELECT versions.checksum, audit.actor AS author INTO saved
    FROM release_versions AS versions JOIN release_audit AS audit USING (sequence)
    WHERE versions.agent = NEW.agent AND versions.number = NEW.version;
    IF entry.action IS DISTINCT FROM 'approve' OR entry.actor <> NEW.approver THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation',
            MESSAGE = format('an approval is its audit entry''s: %s by %s, got one by %s',
                entry.action, entry.actor, NEW.approver),
            HINT = 'Let the person log in and run: retune approve.';
    ELSIF saved.author = NEW.approver THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation',
            MESSAGE = format('version %s of %s is %s''s own', NEW.version, NEW.agent, saved.author),
            HINT = 'Somebody else has to approve it.';
    ELSIF saved.checksum <> NEW.checksum THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation',
            MESSAGE = format('version %s of %s has checksum %s, got %s', NEW.version, NEW.agent,
                saved.checksum, NEW.checksum),
            HINT = 'Approve exactly what was saved.';
    END IF;
    RETURN NEW;
END $$;

-- A version becomes active where as many people as the newest policy asks have approved its bytes.
-- What ran there before comes back without being asked again: an emergency does not wait.
CREATE FUNCTION release_check_approved() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    needed integer;
    given integer;
    saved record;
BEGIN
    IF NEW.version IS NULL THEN
        RETURN NEW;
    END IF;
    SELECT versions.checksum, audit.actor AS author INTO saved
    FROM release_versions AS versions JOIN release_audit AS audit USING (sequence)
    WHERE versions.agent = NEW.agent AND versions.number = NEW.version;
    IF saved.checksum <> NEW.checksum THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation',
            MESSAGE = format('version %s of %s has checksum %s, got %s', NEW.version, NEW.agent,
                saved.checksum, NEW.checksum),
            HINT = 'Activate exactly what was saved.';
    END IF;
    SELECT require_approval INTO needed FROM release_policies
    WHERE agent = NEW.agent AND environment = NEW.environment ORDER BY revision DESC LIMIT 1;
    SELECT count(*) INTO given FROM release_approvals
    WHERE agent = NEW.agent AND environment = NEW.environment AND version = NEW.version
        AND checksum = NEW.checksum AND approver <> saved.author;
    IF given >= coalesce(needed, 0) THEN
        RETURN NEW;
    ELSIF (SELECT action FROM release_audit WHERE sequence = NEW.sequence)
            IN ('rollback', 'canary', 'flag')
        AND EXISTS (SELECT FROM release_deployments AS deployments
            JOIN release_outcomes AS outcomes ON outcomes.deployment = deployments.sequence
            WHERE deployments.agent = NEW.agent AND deployments.environment = NEW.environment
                AND deployments.checksum = NEW.checksum AND outcomes.outcome = 'confirmed') THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'check_violation',
        MESSAGE = format('version %s of %s has %s of the %s approvals that %s asks for', NEW.version,
            NEW.agent, given, needed, NEW.environment),
        HINT = 'Let others than its author run: retune approve.';
END $$;

CREATE TRIGGER release_check_approval BEFORE INSERT ON release_approvals
    FOR EACH ROW EXECUTE FUNCTION release_check_approval();
CREATE TRIGGER release_check_approved BEFORE INSERT ON release_deployments
    FOR EACH ROW EXECUTE FUNCTION release_check_approved();

ALTER TABLE release_approvals ENABLE ALWAYS TRIGGER release_check_approval;
ALTER TABLE release_deployments ENABLE ALWAYS TRIGGER release_check_approved;

REVOKE ALL ON FUNCTION release_check_approval(), release_check_approved() FROM PUBLIC;

-- The library asks the same before it writes; this holds for psql too. What stands is kept as it is.
-- Some users get a canary: it needs the same as an activation, before it is published. One that a
-- rollout goes on with is carried on by whatever is published beside it, whoever asks for more since.
-- The rollout is written down when its first stage is published: what its deployment was let pass
-- with is not asked again, or a policy that came in between would leave the two apart.
CREATE FUNCTION release_check_canary() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    canary jsonb;
    stands boolean;
    saved record;
    needed integer;
    given integer;
BEGIN
    IF TG_TABLE_NAME = 'release_rollouts' THEN
        canary := jsonb_build_object('version', NEW.version, 'checksum', NEW.checksum);
        stands := EXISTS (SELECT FROM release_deployments AS deployments
            JOIN release_audit AS audit USING (sequence),
                LATERAL (SELECT replace(audit.data, '\u0000', '\u0001')::jsonb -> 'parts' AS parts) AS told
            WHERE deployments.agent = NEW.agent AND deployments.environment = NEW.environment
                AND parts #>> '{rollout,id}' = NEW.id AND parts -> 'canary' = canary);
    ELSE
        -- An override that stood there may hold what jsonb has no character for.
        SELECT replace(data, '\u0000', '\u0001')::jsonb #> '{parts,canary}' INTO canary FROM release_audit
        WHERE sequence = NEW.sequence;
        stands := canary IS NULL OR canary = 'null'
            OR EXISTS (SELECT FROM release_rollouts AS rollouts
                WHERE rollouts.agent = NEW.agent AND rollouts.environment = NEW.environment
                    AND rollouts.version = (canary ->> 'version')::bigint
                    AND rollouts.checksum = canary ->> 'checksum'
                    AND NOT EXISTS (SELECT FROM release_rollout_steps AS ended
                        WHERE ended.rollout = rollouts.id
                            AND ended.state IN ('promoted', 'rolled back', 'stopped', 'aborted')));
    END IF;
    IF stands THEN
        RETURN NEW;
    END IF;
    SELECT versions.checksum, audit.actor AS author INTO saved
    FROM release_versions AS versions JOIN release_audit AS audit USING (sequence)
    WHERE versions.agent = NEW.agent AND versions.number = (canary ->> 'version')::bigint;
    IF saved.checksum IS DISTINCT FROM canary ->> 'checksum' THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation',
            MESSAGE = format('version %s of %s has checksum %s, got %s', canary ->> 'version',
                NEW.agent, saved.checksum, canary ->> 'checksum'),
            HINT = 'Try exactly what was saved.';
    END IF;
    SELECT require_approval INTO needed FROM release_policies
    WHERE agent = NEW.agent AND environment = NEW.environment ORDER BY revision DESC LIMIT 1;
    SELECT count(*) INTO given FROM release_approvals
    WHERE agent = NEW.agent AND environment = NEW.environment
        AND version = (canary ->> 'version')::bigint AND checksum = saved.checksum
        AND approver <> saved.author;
    IF given < needed THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation',
            MESSAGE = format('as a canary version %s of %s has %s of the %s approvals that %s asks for',
                canary ->> 'version', NEW.agent, given, needed, NEW.environment),
            HINT = 'Let others than its author run: retune approve.';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER release_check_canary BEFORE INSERT ON release_deployments
    FOR EACH ROW EXECUTE FUNCTION release_check_canary();
CREATE TRIGGER release_check_canary BEFORE INSERT ON release_rollouts
    FOR EACH ROW EXECUTE FUNCTION release_check_canary();

ALTER TABLE release_deployments ENABLE ALWAYS TRIGGER release_check_canary;
ALTER TABLE release_rollouts ENABLE ALWAYS TRIGGER release_check_canary;

REVOKE ALL ON FUNCTION release_check_canary() FROM PUBLIC;

-- Where the analysis of a rollout stood, so that whoever starts anew reads the rest alone. It can be
-- deleted at any time: what it says is worked out again from release_run_events.
CREATE TABLE release_rollout_checkpoints (
    rollout text PRIMARY KEY REFERENCES release_rollouts (id),
    arrived bigint NOT NULL,
    data text NOT NULL
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
