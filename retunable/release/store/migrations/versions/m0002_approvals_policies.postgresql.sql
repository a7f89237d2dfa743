-- Who approved which checksum where, and the rules that ask for it.
SELECT set_config('search_path', format('%I, pg_temp', current_schema()), true);

CREATE TABLE release_approvals (
    sequence bigint PRIMARY KEY REFERENCES release_audit,
    agent text NOT NULL,
    environment text NOT NULL,
    version bigint NOT NULL,
    checksum text NOT NULL,
    approver text NOT NULL,
    UNIQUE (agent, environment, version, approver),
    FOREIGN KEY (agent, version) REFERENCES release_versions (agent, number)
);

CREATE TABLE release_policies (
    sequence bigint PRIMARY KEY REFERENCES release_audit,
    agent text NOT NULL,
    environment text NOT NULL,
    revision bigint NOT NULL CHECK (revision >= 1),
    require_approval integer NOT NULL CHECK (require_approval BETWEEN 0 AND 100),
    require_evaluation boolean NOT NULL,
    UNIQUE (agent, environment, revision)
);

CREATE TRIGGER release_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON release_approvals
    FOR EACH STATEMENT EXECUTE FUNCTION release_append_only();
CREATE TRIGGER release_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON release_policies
    FOR EACH STATEMENT EXECUTE FUNCTION release_append_only();
CREATE TRIGGER release_check_detail BEFORE INSERT ON release_approvals
    FOR EACH ROW EXECUTE FUNCTION release_check_detail();
CREATE TRIGGER release_check_detail BEFORE INSERT ON release_policies
    FOR EACH ROW EXECUTE FUNCTION release_check_detail();

ALTER TABLE release_approvals ENABLE ALWAYS TRIGGER release_append_only,
    ENABLE ALWAYS TRIGGER release_check_detail;
ALTER TABLE release_policies ENABLE ALWAYS TRIGGER release_append_only,
    ENABLE ALWAYS TRIGGER release_check_detail;
