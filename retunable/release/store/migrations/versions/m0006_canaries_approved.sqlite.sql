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
