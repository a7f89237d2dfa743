-- The library asks the same before it writes; this holds for psql too. What stands is kept as it is.
SELECT set_config('search_path', format('%I, pg_temp', current_schema()), true);

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
