-- Who approved which checksum where, and the rules that ask for it.
CREATE TABLE release_approvals (
    sequence INTEGER PRIMARY KEY NOT NULL REFERENCES release_audit,
    agent TEXT NOT NULL,
    environment TEXT NOT NULL,
    version INTEGER NOT NULL,
    checksum TEXT NOT NULL,
    approver TEXT NOT NULL,
    UNIQUE (agent, environment, version, approver),
    FOREIGN KEY (agent, version) REFERENCES release_versions (agent, number)
);

CREATE TABLE release_policies (
    sequence INTEGER PRIMARY KEY NOT NULL REFERENCES release_audit,
    agent TEXT NOT NULL,
    environment TEXT NOT NULL,
    revision INTEGER NOT NULL CHECK (revision >= 1),
    require_approval INTEGER NOT NULL CHECK (require_approval BETWEEN 0 AND 100),
    require_evaluation INTEGER NOT NULL CHECK (require_evaluation IN (0, 1)),
    UNIQUE (agent, environment, revision)
);

CREATE TRIGGER release_approvals_no_update BEFORE UPDATE ON release_approvals BEGIN
    SELECT RAISE(ABORT, 'UPDATE on release_approvals is refused: the release store is append-only');
END;
CREATE TRIGGER release_approvals_no_delete BEFORE DELETE ON release_approvals BEGIN
    SELECT RAISE(ABORT, 'DELETE on release_approvals is refused: the release store is append-only');
END;
CREATE TRIGGER release_approvals_no_replace BEFORE INSERT ON release_approvals WHEN
    EXISTS (SELECT 1 FROM release_approvals WHERE sequence = NEW.sequence) OR
    EXISTS (SELECT 1 FROM release_approvals WHERE agent = NEW.agent AND environment = NEW.environment AND version = NEW.version AND approver = NEW.approver)
BEGIN
    SELECT RAISE(ABORT, 'a row of release_approvals stands under this key: the release store is append-only');
END;
CREATE TRIGGER release_approvals_has_entry BEFORE INSERT ON release_approvals
WHEN NEW.sequence IS NOT (SELECT max(sequence) FROM release_audit) BEGIN
    SELECT RAISE(ABORT, 'a row of release_approvals bears the number of the newest audit entry');
END;
CREATE TRIGGER release_policies_no_update BEFORE UPDATE ON release_policies BEGIN
    SELECT RAISE(ABORT, 'UPDATE on release_policies is refused: the release store is append-only');
END;
CREATE TRIGGER release_policies_no_delete BEFORE DELETE ON release_policies BEGIN
    SELECT RAISE(ABORT, 'DELETE on release_policies is refused: the release store is append-only');
END;
CREATE TRIGGER release_policies_no_replace BEFORE INSERT ON release_policies WHEN
    EXISTS (SELECT 1 FROM release_policies WHERE sequence = NEW.sequence) OR
    EXISTS (SELECT 1 FROM release_policies WHERE agent = NEW.agent AND environment = NEW.environment AND revision = NEW.revision)
BEGIN
    SELECT RAISE(ABORT, 'a row of release_policies stands under this key: the release store is append-only');
END;
CREATE TRIGGER release_policies_has_entry BEFORE INSERT ON release_policies
WHEN NEW.sequence IS NOT (SELECT max(sequence) FROM release_audit) BEGIN
    SELECT RAISE(ABORT, 'a row of release_policies bears the number of the newest audit entry');
END;
