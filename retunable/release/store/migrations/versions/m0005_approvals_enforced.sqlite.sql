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
