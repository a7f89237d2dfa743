-- Roles over the configuration table and the release store, which must stand already. Safe to apply
-- again. None of them can log in or owns anything: grant them to logins,
--     GRANT retunable_author, retunable_publisher TO maria;
-- Whoever applies this file (a superuser, or the tables' owner with CREATEROLE) keeps the tables.
BEGIN;

DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['retunable_agent', 'retunable_author', 'retunable_publisher',
        'retunable_auditor', 'retunable_control']
    LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role);
        END IF;
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), role);
    END LOOP;
END $$;

-- The agent's daprd reads configuration, and nothing else.
GRANT SELECT ON configuration TO retunable_agent;

-- Everybody else reads the whole release store.
GRANT SELECT ON release_audit, release_versions, release_deployments, release_outcomes,
    release_approvals, release_policies, release_version_log, release_deployment_log, release_schema,
    release_replicas, release_observations, release_observation_reports, release_rollouts,
    release_rollout_steps, release_run_counts
    TO retunable_author, retunable_publisher, retunable_auditor, retunable_control;

-- Who writes versions, and approves those of others.
GRANT INSERT ON release_audit, release_versions, release_approvals TO retunable_author;

-- Who makes a version active. The policies that it is held to are the owner's to write.
GRANT INSERT ON release_audit, release_deployments, release_outcomes, release_rollouts,
    release_rollout_steps TO retunable_publisher;
GRANT SELECT ON release_run_events, release_rollout_checkpoints
    TO retunable_publisher, retunable_control;
GRANT SELECT, INSERT, UPDATE, DELETE ON configuration TO retunable_publisher;

-- `retune control`: what replicas tell, and publications that somebody left unfinished.
GRANT INSERT, UPDATE, DELETE ON release_replicas TO retunable_control;
GRANT INSERT ON release_audit, release_observations, release_observation_reports,
    release_outcomes TO retunable_control;
-- It carries rollouts on: what it publishes then is theirs.
GRANT INSERT ON release_deployments, release_rollouts, release_rollout_steps TO retunable_control;
GRANT INSERT, DELETE ON release_run_events TO retunable_control;
GRANT INSERT, UPDATE ON release_run_counts TO retunable_control;
GRANT INSERT, UPDATE, DELETE ON release_rollout_checkpoints TO retunable_control;
GRANT SELECT, INSERT, UPDATE, DELETE ON configuration TO retunable_control;

-- Who asks what happened.
GRANT SELECT ON configuration, configuration_audit TO retunable_auditor;

COMMIT;
