-- The library asks the same before it writes; this holds for psql too. What stands is kept as it is.
SELECT set_config('search_path', format('%I, pg_temp', current_schema()), true);

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
