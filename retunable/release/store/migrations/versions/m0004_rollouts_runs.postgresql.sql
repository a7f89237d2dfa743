-- Rollouts, each with its steps; and what replicas tell of runs, of which the counts stay.
SELECT set_config('search_path', format('%I, pg_temp', current_schema()), true);

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
    rating integer
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
