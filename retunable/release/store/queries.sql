-- Every statement of the release store. One that two databases need in two forms is marked.

-- name: schema_revision
SELECT version_num FROM release_schema

-- name: schema_exists (postgresql)
SELECT to_regclass('release_schema') IS NOT NULL AS found

-- name: schema_exists (sqlite)
SELECT count(*) > 0 AS found FROM sqlite_schema WHERE name = 'release_schema'

-- name: lock (postgresql)
-- One writer at a time, so that numbers have no gap and the chain has one end. SQLite's transaction
-- begins with the lock.
SELECT pg_advisory_xact_lock(hashtextextended('retunable release store', 0))

-- name: login (postgresql)
SELECT session_user AS actor, clock_timestamp() AS at

-- name: login (sqlite)
SELECT NULL AS actor, strftime('%Y-%m-%dT%H:%M:%fZ', 'now') AS at

-- name: identity (postgresql)
SELECT (SELECT system_identifier FROM pg_control_system()) AS system_identifier,
    (SELECT oid FROM pg_database WHERE datname = current_database()) AS database_oid,
    pg_postmaster_start_time() AS started_at

-- name: newest_entry
SELECT sequence, hash FROM release_audit ORDER BY sequence DESC LIMIT 1

-- name: insert_entry
INSERT INTO release_audit (sequence, at, actor, claimed, action, agent, environment, version,
    old_version, checksum, reason, data, previous, hash)
VALUES (:sequence, :at, :actor, :claimed, :action, :agent, :environment, :version,
    :old_version, :checksum, :reason, :data, :previous, :hash)

-- name: entries
SELECT sequence, at, actor, claimed, action, agent, environment, version, old_version, checksum,
    reason, data, previous, hash
FROM release_audit
WHERE sequence > :after AND at >= :since
    AND (CAST(:agent AS text) IS NULL OR agent = :agent)
    AND (CAST(:environment AS text) IS NULL OR environment IS NULL OR environment = :environment)
    AND (CAST(:actor AS text) IS NULL OR actor = :actor OR claimed = :actor)
ORDER BY sequence

-- name: insert_version
INSERT INTO release_versions (sequence, id, agent, number, parent, source, schema_number, checksum,
    config)
VALUES (:sequence, :id, :agent, :number, :parent, :source, :schema_number, :checksum, :config)

-- name: versions
SELECT sequence, at, actor, claimed, reason, id, agent, number, parent, source, schema_number,
    checksum, size_bytes
FROM release_version_log WHERE agent = :agent AND number < :before
ORDER BY number DESC LIMIT :at_most

-- name: version
SELECT sequence, at, actor, claimed, reason, id, agent, number, parent, source, schema_number,
    checksum, size_bytes
FROM release_version_log WHERE agent = :agent AND number = :number

-- name: config
SELECT config FROM release_versions WHERE agent = :agent AND number = :number

-- name: agents
SELECT agent, max(number) AS latest FROM release_versions GROUP BY agent ORDER BY agent

-- name: insert_deployment
INSERT INTO release_deployments (sequence, agent, environment, generation, version, checksum)
VALUES (:sequence, :agent, :environment, :generation, :version, :checksum)

-- name: insert_outcome
INSERT INTO release_outcomes (sequence, deployment, outcome)
VALUES (:sequence, :deployment, :outcome)

-- name: deployments
SELECT sequence, at, actor, claimed, reason, action, agent, environment, generation, version,
    checksum, data, state, settled_at
FROM release_deployment_log WHERE agent = :agent AND environment = :environment
ORDER BY generation DESC LIMIT :at_most

-- name: deployment
SELECT sequence, at, actor, claimed, reason, action, agent, environment, generation, version,
    checksum, data, state, settled_at
FROM release_deployment_log
WHERE agent = :agent AND environment = :environment AND generation = :generation

-- name: active
SELECT sequence, at, actor, claimed, reason, action, agent, environment, generation, version,
    checksum, data, state, settled_at
FROM release_deployment_log
WHERE agent = :agent AND environment = :environment AND state = 'confirmed'
    AND settled_at <= :until
ORDER BY generation DESC LIMIT 1

-- name: head
SELECT sequence, at, actor, claimed, reason, action, agent, environment, generation, version,
    checksum, data, state, settled_at
FROM release_deployment_log
WHERE agent = :agent AND environment = :environment AND state <> 'withdrawn'
ORDER BY generation DESC LIMIT 1

-- name: pending
SELECT sequence, at, actor, claimed, reason, action, agent, environment, generation, version,
    checksum, data, state, settled_at
FROM release_deployment_log
WHERE state = 'pending' AND agent = :agent AND environment = :environment
ORDER BY generation

-- name: environments
SELECT DISTINCT environment FROM release_deployments WHERE agent = :agent ORDER BY environment

-- name: insert_approval
INSERT INTO release_approvals (sequence, agent, environment, version, checksum, approver)
VALUES (:sequence, :agent, :environment, :version, :checksum, :approver)

-- name: approvals
SELECT approvals.sequence, audit.at, audit.actor, audit.claimed, audit.reason, approvals.agent,
    approvals.environment, approvals.version, approvals.checksum
FROM release_approvals AS approvals JOIN release_audit AS audit USING (sequence)
WHERE approvals.agent = :agent AND approvals.environment = :environment
    AND approvals.version = :version
ORDER BY approvals.sequence

-- name: insert_policy
INSERT INTO release_policies (sequence, agent, environment, revision, require_approval,
    require_evaluation)
VALUES (:sequence, :agent, :environment, :revision, :require_approval, :require_evaluation)

-- name: policies
SELECT policies.sequence, audit.at, audit.actor, audit.claimed, audit.reason, policies.agent,
    policies.environment, policies.revision, policies.require_approval, policies.require_evaluation
FROM release_policies AS policies JOIN release_audit AS audit USING (sequence)
WHERE policies.agent = :agent AND policies.environment = :environment
ORDER BY policies.revision DESC LIMIT :at_most

-- name: beat
-- Heartbeats come in any order: an older one replaces a newer one only where the newer is long past,
-- for then the replica's clock was put back.
INSERT INTO release_replicas (agent, environment, replica, seen_at, at_ms, interval_ms, revision,
    generation, version, status, stream, rejected, items)
VALUES (:agent, :environment, :replica, :seen_at, :at_ms, :interval_ms, :revision,
    :generation, :version, :status, :stream, :rejected, :items)
ON CONFLICT (agent, environment, replica) DO UPDATE SET seen_at = excluded.seen_at,
    at_ms = excluded.at_ms, interval_ms = excluded.interval_ms, revision = excluded.revision,
    generation = excluded.generation, version = excluded.version, status = excluded.status,
    stream = excluded.stream, rejected = excluded.rejected, items = excluded.items
WHERE excluded.at_ms >= release_replicas.at_ms OR release_replicas.seen_at < :long_past

-- name: leave
DELETE FROM release_replicas
WHERE agent = :agent AND environment = :environment AND replica = :replica AND at_ms <= :at_ms

-- name: forget_replicas
DELETE FROM release_replicas WHERE seen_at < :before

-- name: replicas
SELECT agent, environment, replica, seen_at, at_ms, interval_ms, revision, generation, version,
    status, stream, rejected, items
FROM release_replicas WHERE agent = :agent AND environment = :environment ORDER BY replica

-- name: observation_report
SELECT sequence FROM release_observation_reports WHERE event_id = :event_id

-- name: observation_of_another
-- The oldest one of the same change whose time overlaps and which this replica did not tell of.
SELECT sequence FROM release_observations AS seen
WHERE agent = :agent AND environment = :environment AND change = :change
    AND not_before_ms <= :not_after_ms AND not_after_ms >= :not_before_ms
    AND NOT EXISTS (SELECT 1 FROM release_observation_reports AS reports
        WHERE reports.sequence = seen.sequence AND reports.replica = :replica)
ORDER BY sequence LIMIT 1

-- name: sightings
SELECT seen.sequence, seen.agent, seen.environment, seen.not_before_ms, seen.not_after_ms,
    audit.data, reports.replica
FROM release_observations AS seen JOIN release_audit AS audit USING (sequence)
JOIN release_observation_reports AS reports USING (sequence)
WHERE seen.not_before_ms <= :not_after_ms AND seen.not_after_ms >= :not_before_ms
ORDER BY seen.sequence

-- name: insert_observation
INSERT INTO release_observations (sequence, agent, environment, change, not_before_ms,
    not_after_ms)
VALUES (:sequence, :agent, :environment, :change, :not_before_ms, :not_after_ms)

-- name: insert_observation_report
INSERT INTO release_observation_reports (event_id, sequence, replica)
VALUES (:event_id, :sequence, :replica)

-- name: all_pending
SELECT sequence, at, actor, claimed, reason, action, agent, environment, generation, version,
    checksum, data, state, settled_at
FROM release_deployment_log WHERE state = 'pending' ORDER BY agent, environment, generation

-- name: detail_of_observations
SELECT sequence, agent, environment, change, not_before_ms, not_after_ms
FROM release_observations ORDER BY sequence

-- name: insert_rollout
INSERT INTO release_rollouts (sequence, id, agent, environment, version, checksum)
VALUES (:sequence, :id, :agent, :environment, :version, :checksum)

-- name: insert_rollout_step
INSERT INTO release_rollout_steps (sequence, rollout, state, stage)
VALUES (:sequence, :rollout, :state, :stage)

-- name: rollouts
-- Newest first, each as it is now.
SELECT audit.sequence, audit.at, audit.actor, audit.claimed, audit.reason, audit.data,
    rollouts.id, rollouts.agent, rollouts.environment, rollouts.version, rollouts.checksum,
    coalesce(steps.state, 'running') AS state, coalesce(steps.stage, 0) AS stage,
    coalesce(steps.sequence, rollouts.sequence) AS step
FROM release_rollouts AS rollouts JOIN release_audit AS audit USING (sequence)
LEFT JOIN release_rollout_steps AS steps ON steps.sequence =
    (SELECT max(sequence) FROM release_rollout_steps AS newest WHERE newest.rollout = rollouts.id)
WHERE (CAST(:id AS text) IS NULL OR rollouts.id = :id)
    AND (CAST(:agent AS text) IS NULL OR rollouts.agent = :agent)
    AND (CAST(:environment AS text) IS NULL OR rollouts.environment = :environment)
ORDER BY rollouts.sequence DESC

-- name: rollout_steps
SELECT audit.sequence, audit.at, audit.actor, audit.claimed, audit.reason, audit.data,
    steps.rollout, steps.state, steps.stage
FROM release_rollout_steps AS steps JOIN release_audit AS audit USING (sequence)
WHERE steps.rollout = :id ORDER BY steps.sequence

-- name: insert_run_events (postgresql)
-- One statement for a batch: 1,000 rows in 20 ms, where one statement for each takes 400 ms.
INSERT INTO release_run_events (arrived_at,
    event_id, kind, agent, environment, rollout, run, user_hmac, bucket, arm, cohort, variant, version,
    checksum, pinned, started_ms, state, guardrail_failures, limit_hit, input_tokens,
    output_tokens, latency_ms, cost, rating, tool_code)
SELECT :arrived_at,
    event_id, kind, agent, environment, rollout, run, user_hmac, bucket, arm, cohort, variant, version,
    checksum, pinned, started_ms, state, guardrail_failures, limit_hit, input_tokens,
    output_tokens, latency_ms, cost, rating, tool_code
FROM jsonb_to_recordset(CAST(:events AS jsonb)) AS told (
    event_id text, kind text, agent text, environment text, rollout text, run text, user_hmac
    text, bucket integer, arm text, cohort integer, variant text, version bigint, checksum text, pinned boolean,
    started_ms bigint, state text, guardrail_failures bigint, limit_hit boolean, input_tokens
    bigint, output_tokens bigint, latency_ms bigint, cost double precision, rating integer, tool_code text)
ON CONFLICT (event_id) DO NOTHING RETURNING event_id

-- name: insert_run_events (sqlite)
INSERT INTO release_run_events (arrived_at,
    event_id, kind, agent, environment, rollout, run, user_hmac, bucket, arm, cohort, variant, version,
    checksum, pinned, started_ms, state, guardrail_failures, limit_hit, input_tokens,
    output_tokens, latency_ms, cost, rating, tool_code)
SELECT :arrived_at,
    value ->> 'event_id', value ->> 'kind', value ->> 'agent', value ->> 'environment', value
    ->> 'rollout', value ->> 'run', value ->> 'user_hmac', value ->> 'bucket', value ->> 'arm', value ->> 'cohort',
    value ->> 'variant', value ->> 'version', value ->> 'checksum', value ->> 'pinned', value
    ->> 'started_ms', value ->> 'state', value ->> 'guardrail_failures', value ->> 'limit_hit',
    value ->> 'input_tokens', value ->> 'output_tokens', value ->> 'latency_ms', value ->>
    'cost', value ->> 'rating', value ->> 'tool_code'
FROM json_each(:events) WHERE true
ON CONFLICT (event_id) DO NOTHING RETURNING event_id

-- name: run_of
-- What is known of a run, for a rating, which names the run alone.
SELECT rollout, user_hmac, bucket, arm, cohort, variant, version, checksum, pinned, started_ms,
    tool_code
FROM release_run_events
WHERE run = :run AND agent = :agent AND environment = :environment AND kind <> 'feedback'
ORDER BY arrived LIMIT 1

-- name: run_events
SELECT arrived, arrived_at, kind, run, user_hmac, bucket, arm, cohort, variant, version, checksum, pinned,
    started_ms, state, guardrail_failures, limit_hit, latency_ms, cost, rating, tool_code
FROM release_run_events WHERE rollout = :id AND arrived > :after ORDER BY arrived LIMIT :at_most

-- name: met_users (postgresql)
-- Pinned runs, and those whose caller got another variant than the split said, compare nothing. User by
-- user: 5,000 of them in 60 to 90 ms; with IN, PostgreSQL without statistics of the table took 10 minutes.
SELECT found.user_hmac, found.tool_code, found.first
FROM jsonb_array_elements_text(CAST(:users AS jsonb)) AS asked (user_hmac)
CROSS JOIN LATERAL (SELECT events.user_hmac, events.tool_code, min(events.arrived) AS first
    FROM release_run_events AS events
    WHERE events.user_hmac = asked.user_hmac AND rollout = :id
        AND arrived <= :up_to AND cohort < :cohorts AND NOT coalesce(pinned, false)
        AND coalesce(arm = 'canary', false) = coalesce(variant = 'canary', false)
    GROUP BY events.user_hmac, events.tool_code) AS found

-- name: met_users (sqlite)
-- Left to itself SQLite goes through all rows of the rollout.
SELECT user_hmac, tool_code, min(arrived) AS first
FROM release_run_events INDEXED BY release_run_events_user
WHERE user_hmac IN (SELECT value FROM json_each(:users)) AND rollout = :id
    AND arrived <= :up_to AND cohort < :cohorts AND NOT coalesce(pinned, false)
    AND coalesce(arm = 'canary', false) = coalesce(variant = 'canary', false)
GROUP BY user_hmac, tool_code

-- name: checkpoint
SELECT arrived, data FROM release_rollout_checkpoints WHERE rollout = :id

-- name: add_checkpoint
INSERT INTO release_rollout_checkpoints (rollout, arrived, data) VALUES (:id, :arrived, :data)
ON CONFLICT (rollout) DO UPDATE SET arrived = excluded.arrived, data = excluded.data

-- name: newest_run_event
SELECT coalesce(max(arrived), 0) AS arrived FROM release_run_events

-- name: add_run_counts
INSERT INTO release_run_counts (agent, environment, rollout, version, variant, started, finished,
    failed, stopped, guardrail_failures, limit_hits, input_tokens, output_tokens, latency_ms, cost,
    liked, disliked)
VALUES (:agent, :environment, :rollout, :version, :variant, :started, :finished, :failed, :stopped,
    :guardrail_failures, :limit_hits, :input_tokens, :output_tokens, :latency_ms, :cost, :liked,
    :disliked)
ON CONFLICT (agent, environment, rollout, version, variant) DO UPDATE SET
    started = release_run_counts.started + excluded.started,
    finished = release_run_counts.finished + excluded.finished,
    failed = release_run_counts.failed + excluded.failed,
    stopped = release_run_counts.stopped + excluded.stopped,
    guardrail_failures = release_run_counts.guardrail_failures + excluded.guardrail_failures,
    limit_hits = release_run_counts.limit_hits + excluded.limit_hits,
    input_tokens = release_run_counts.input_tokens + excluded.input_tokens,
    output_tokens = release_run_counts.output_tokens + excluded.output_tokens,
    latency_ms = release_run_counts.latency_ms + excluded.latency_ms,
    cost = release_run_counts.cost + excluded.cost,
    liked = release_run_counts.liked + excluded.liked,
    disliked = release_run_counts.disliked + excluded.disliked

-- name: run_counts
SELECT agent, environment, rollout, version, variant, started, finished, failed, stopped,
    guardrail_failures, limit_hits, input_tokens, output_tokens, latency_ms, cost, liked, disliked
FROM release_run_counts
WHERE agent = :agent AND environment = :environment
    AND (CAST(:id AS text) IS NULL OR rollout = :id)
ORDER BY rollout, version, variant

-- name: usage
-- Of stable's runs alone: what a rollout is planned on.
SELECT count(*) FILTER (WHERE kind = 'exposure') AS runs,
    count(*) FILTER (WHERE kind = 'outcome') AS ended,
    count(*) FILTER (WHERE state = 'failed') AS failed,
    count(*) FILTER (WHERE guardrail_failures > 0) AS guarded,
    count(*) FILTER (WHERE limit_hit) AS limited,
    count(cost) AS priced
FROM release_run_events
WHERE agent = :agent AND environment = :environment AND arrived_at >= :since
    AND variant <> 'canary'

-- name: usage_users
-- A pseudonym means nothing outside its rollout or ISO week (events/pseudonym.py), so only within one
-- are users told apart. 259200000: the epoch was a Thursday, three days after a week began.
SELECT coalesce(max(users), 0) AS users FROM (
    SELECT count(DISTINCT user_hmac) AS users
    FROM release_run_events
    WHERE agent = :agent AND environment = :environment AND arrived_at >= :monday
        AND (rollout IS NULL OR arrived_at >= :since) AND variant <> 'canary'
    GROUP BY rollout,
        CASE WHEN rollout IS NULL THEN (started_ms + 259200000) / 604800000 END
) AS scopes

-- name: latency_at
SELECT latency_ms FROM release_run_events
WHERE agent = :agent AND environment = :environment AND arrived_at >= :since
    AND variant <> 'canary' AND kind = 'outcome'
ORDER BY latency_ms LIMIT 1 OFFSET :after

-- name: cost_at
SELECT cost FROM release_run_events
WHERE agent = :agent AND environment = :environment AND arrived_at >= :since
    AND variant <> 'canary' AND kind = 'outcome' AND cost IS NOT NULL
ORDER BY cost LIMIT 1 OFFSET :after

-- name: forget_run_events
DELETE FROM release_run_events WHERE arrived_at < :before AND (rollout IS NULL OR NOT EXISTS (
    SELECT 1 FROM release_rollouts AS rollouts WHERE rollouts.id = release_run_events.rollout
        AND NOT EXISTS (SELECT 1 FROM release_rollout_steps AS ended
            JOIN release_audit AS audit USING (sequence) WHERE ended.rollout = rollouts.id
                AND ended.state IN ('promoted', 'rolled back', 'stopped', 'aborted')
                AND audit.at < :before)))

-- name: forget_checkpoints
DELETE FROM release_rollout_checkpoints WHERE EXISTS (
    SELECT 1 FROM release_rollout_steps AS ended JOIN release_audit AS audit USING (sequence)
    WHERE ended.rollout = release_rollout_checkpoints.rollout
        AND ended.state IN ('promoted', 'rolled back', 'stopped', 'aborted')
        AND audit.at < :before)

-- name: detail_of_rollouts
SELECT sequence, id, agent, environment, version, checksum FROM release_rollouts ORDER BY sequence

-- name: detail_of_rollout_steps
SELECT sequence, rollout, state, stage FROM release_rollout_steps ORDER BY sequence

-- name: detail_of_versions
SELECT sequence, id, agent, number, parent, source, schema_number, checksum, config
FROM release_versions WHERE sequence > :after ORDER BY sequence LIMIT :at_most

-- name: detail_of_deployments
SELECT sequence, agent, environment, generation, version, checksum
FROM release_deployments ORDER BY sequence

-- name: detail_of_outcomes
SELECT sequence, deployment, outcome FROM release_outcomes ORDER BY sequence

-- name: detail_of_approvals
SELECT sequence, agent, environment, version, checksum, approver
FROM release_approvals ORDER BY sequence

-- name: detail_of_policies
SELECT sequence, agent, environment, revision, require_approval, require_evaluation
FROM release_policies ORDER BY sequence

-- name: guards (postgresql)
-- 58: before UPDATE, DELETE and TRUNCATE, by statement. 7: before INSERT, by row.
SELECT relname || '.' || tgname AS name, prosrc AS source, tgenabled = 'A' AND tgqual IS NULL
    AND tgtype = CASE tgname WHEN 'release_append_only' THEN 58 ELSE 7 END AS enabled
FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid JOIN pg_proc ON pg_proc.oid = tgfoid
WHERE NOT tgisinternal AND pg_class.relnamespace =
    (SELECT relnamespace FROM pg_class WHERE oid = to_regclass('release_audit'))

-- name: guards (sqlite)
SELECT tbl_name || '.' || name AS name, sql AS source, 1 AS enabled
FROM sqlite_schema WHERE type = 'trigger'
