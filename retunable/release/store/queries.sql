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
    generation, version, status, stream, rejected, override_keys, address)
VALUES (:agent, :environment, :replica, :seen_at, :at_ms, :interval_ms, :revision,
    :generation, :version, :status, :stream, :rejected, :override_keys, :address)
ON CONFLICT (agent, environment, replica) DO UPDATE SET seen_at = excluded.seen_at,
    at_ms = excluded.at_ms, interval_ms = excluded.interval_ms, revision = excluded.revision,
    generation = excluded.generation, version = excluded.version, status = excluded.status,
    stream = excluded.stream, rejected = excluded.rejected,
    override_keys = excluded.override_keys, address = excluded.address
WHERE excluded.at_ms >= release_replicas.at_ms OR release_replicas.seen_at < :long_past

-- name: leave
DELETE FROM release_replicas
WHERE agent = :agent AND environment = :environment AND replica = :replica AND at_ms <= :at_ms

-- name: forget_replicas
DELETE FROM release_replicas WHERE seen_at < :before

-- name: replicas
SELECT agent, environment, replica, seen_at, at_ms, interval_ms, revision, generation, version,
    status, stream, rejected, override_keys, address
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
