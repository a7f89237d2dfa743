-- What replicas tell: the latest heartbeat of each, and the changes of the configuration store that
-- no command of ours made.
SELECT set_config('search_path', format('%I, pg_temp', current_schema()), true);

-- Not append-only: it says how things are now. seen_at is by this database's clock, at_ms by the
-- replica's; rejected and override_keys are JSON.
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
    override_keys text NOT NULL,
    address text,
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
