-- The table that Dapr's PostgreSQL configuration store reads, with the rules of an agent's keys.
-- Safe to apply again, and over Dapr's documented table and trigger: data stays, everything happens
-- in one transaction or not at all. PostgreSQL 14 or later. What each object is: sql/README.md.
BEGIN;
SET LOCAL lock_timeout = '10s';

-- Where the table is, or will be: a later schema of the search path only if it stands there already.
DO $$
DECLARE
    target text;
    kind "char";
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('retunable configuration'));
    SELECT path.name, relkind INTO target, kind
    FROM unnest(current_schemas(false)) WITH ORDINALITY AS path (name, place)
    JOIN pg_class ON relname = 'configuration' AND relnamespace = path.name::regnamespace
    ORDER BY path.place LIMIT 1;
    target := coalesce(target, current_schema());
    IF kind <> 'r' THEN -- daprd looks for it among the tables, and exits where it finds none.
        RAISE EXCEPTION 'configuration exists in schema % and is no ordinary table', target
            USING HINT = 'Rename it, or apply this file with another search_path.';
    ELSIF target IS NULL THEN
        RAISE EXCEPTION 'no schema to create the table configuration in'
            USING HINT = 'Set search_path to an existing schema, like SET search_path = public.';
    END IF;
    -- Every function below keeps this search path, with temporary objects last.
    PERFORM set_config('search_path', format('%I, pg_temp', target), true);
    IF getdatabaseencoding() <> 'UTF8' THEN
        RAISE WARNING 'this database is %, not UTF8: Dapr cannot send text that is not UTF-8',
            getdatabaseencoding();
    END IF;
END $$;

-- Dapr reads SELECT * into exactly these four columns; a fifth one fails every read.
CREATE TABLE IF NOT EXISTS configuration (
    key varchar PRIMARY KEY,
    value varchar NOT NULL,
    version varchar NOT NULL DEFAULT '1',
    metadata json
);

CREATE TABLE IF NOT EXISTS configuration_audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    transaction xid8 NOT NULL DEFAULT pg_current_xact_id(),
    session_role text NOT NULL DEFAULT session_user,
    -- Not current_user: the trigger that writes here runs as its owner.
    active_role text NOT NULL DEFAULT coalesce(nullif(current_setting('role'), 'none'), session_user),
    application_name text NOT NULL DEFAULT current_setting('application_name'),
    operation text NOT NULL CHECK (operation IN
        ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'MIGRATE')),
    old_key text,
    old_value text,
    old_version text,
    old_metadata json,
    new_key text,
    new_value text,
    new_version text,
    new_metadata json
);
CREATE INDEX IF NOT EXISTS configuration_audit_key
    ON configuration_audit (coalesce(new_key, old_key), id);

LOCK TABLE configuration IN SHARE ROW EXCLUSIVE MODE;

-- What a key or a document's name means.

CREATE OR REPLACE FUNCTION retunable_field(key text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    -- The last path segment, where it is a field key of an agent.
    SELECT segment FROM substring(key FROM '[^/]*$') AS segment WHERE segment IN (
        'agent_role', 'agent_goal', 'agent_instructions', 'agent_style_guidelines',
        'agent_system_prompt', 'llm_model', 'llm_provider', 'llm_temperature', 'llm_max_tokens',
        'max_iterations', 'tools', 'tool_choice', 'guardrails', 'guardrail_threshold')
$$;

CREATE OR REPLACE FUNCTION retunable_name(name text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    -- As documents are read: without regard to case, - as _; openaiApiKey is openai_api_key.
    SELECT lower(replace(regexp_replace(btrim(name), '([a-z0-9])([A-Z])', '\1_\2', 'g'), '-', '_'))
$$;

CREATE OR REPLACE FUNCTION retunable_is_secret_name(name text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT retunable_name(substring(name FROM '[^/]*$')) ~ ('(^|[^a-z0-9])(api_?key|access_?key|'
        || 'secret_?key|private_?key|secret|password|passwd|passphrase|token|credentials?)$')
$$;

CREATE OR REPLACE FUNCTION retunable_json(value text) RETURNS json
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM value::jsonb; -- Refuses lone surrogates and \u0000, which json lets pass.
    RETURN value::json;   -- Keeps members that stand twice, and numbers as they were written.
EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION retunable_object(value text) RETURNS json
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN ltrim(value, E' \t\n\r') LIKE '{%' THEN retunable_json(value) END
$$;

CREATE OR REPLACE FUNCTION retunable_is_document(document json) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    -- Surely an agent's: marked as an envelope, or with a store key that nobody else has.
    SELECT coalesce((SELECT bool_or(name IN ('retunable', 'llm_api_key')
            OR name ~ '^(agent|llm)_' AND retunable_field(name) IS NOT NULL)
        FROM json_object_keys(document) AS member, retunable_name(member) AS name), false)
$$;

-- Secrets: each returns the name that would hold one, or NULL.

CREATE OR REPLACE FUNCTION retunable_secret_member(document json, ours boolean) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT key FROM json_each(document)
    WHERE retunable_is_secret_name(key) AND value::text NOT IN ('null', '""')
        AND (ours OR json_typeof(value) = 'string')
    LIMIT 1
$$;

CREATE OR REPLACE FUNCTION retunable_secret(key text, value text) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    document json;
    ours boolean;
BEGIN
    IF value = '' OR retunable_field(key) IS NOT NULL THEN
        RETURN NULL;
    ELSIF retunable_is_secret_name(key) THEN
        RETURN key;
    ELSIF ltrim(value, E' \t\n\r') NOT LIKE '{%' THEN
        RETURN NULL;
    END IF;
    document := retunable_object(value);
    IF document IS NULL THEN -- A broken document would show its secret all the same.
        RETURN substring(value FROM '(?i)["'']((?:[^"'']{0,64}[^a-z0-9"''])?(?:[a-z]*api[_-]?key|'
            'access[_-]?key|secret[_-]?key|private[_-]?key|secret|password|passwd|passphrase|token|'
            'credentials?))["'']\s*:\s*["''][^"'']');
    END IF;
    ours := retunable_is_document(document);
    RETURN coalesce(
        retunable_secret_member(document, ours),
        (SELECT retunable_secret_member(config.value, ours) AS name
            FROM json_each(document) AS variant,
                json_each(CASE json_typeof(variant.value) WHEN 'object' THEN variant.value
                    ELSE '{}' END) AS config
            WHERE config.key = 'config' AND json_typeof(config.value) = 'object'
            ORDER BY name LIMIT 1));
END $$;

CREATE OR REPLACE FUNCTION retunable_withheld(key text, value text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    -- What the audit says of a row that held a secret before these rules came.
    SELECT CASE WHEN retunable_secret(key, value) IS NULL THEN value
        ELSE format('[secret, %s characters]', char_length(value)) END
$$;

-- Values: each returns what is wrong, to be read on from the key, or NULL.

CREATE OR REPLACE FUNCTION retunable_shown(value text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT '"' || left(value, 40) || CASE WHEN char_length(value) > 40 THEN '..."' ELSE '"' END
$$;

CREATE OR REPLACE FUNCTION retunable_number_fault(value text, low int, high int, whole boolean)
RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    plain constant text := btrim(value, E' \t\n\r\f\x0b');
    shape constant text := CASE WHEN whole THEN '^[+-]?[0-9]{1,18}$'
        ELSE '^[+-]?([0-9]{1,18}(\.[0-9]{0,18})?|\.[0-9]{1,18})([eE][+-]?[0-9]{1,3})?$' END;
BEGIN
    IF plain ~ shape THEN
        IF plain::numeric BETWEEN low AND high THEN
            RETURN NULL;
        END IF;
    END IF;
    RETURN format('must be %s from %s to %s, got %s',
        CASE WHEN whole THEN 'an integer' ELSE 'a number' END, low, high, retunable_shown(value));
END $$;

CREATE OR REPLACE FUNCTION retunable_list_fault(value text, names boolean) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    list constant json := retunable_json(value);
BEGIN
    IF list IS NULL OR json_typeof(list) <> 'array' THEN
        RETURN format('must be a JSON list of strings, got %s', retunable_shown(value));
    ELSIF EXISTS (SELECT FROM json_array_elements(list) AS item WHERE json_typeof(item) <> 'string')
    THEN
        RETURN format('must hold nothing but strings, got %s', retunable_shown(value));
    ELSIF names AND EXISTS (SELECT FROM json_array_elements_text(list) AS name
        WHERE char_length(name) NOT BETWEEN 1 AND 256) THEN
        RETURN format('must hold names of 1 to 256 characters, got %s', retunable_shown(value));
    ELSIF names AND (SELECT count(*) <> count(DISTINCT name)
        FROM json_array_elements_text(list) AS name) THEN
        RETURN format('must name each tool once, got %s', retunable_shown(value));
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION retunable_json_fault(value json, depth int) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    -- What two readers of JSON would understand differently.
    IF depth > 32 THEN
        RETURN 'is nested deeper than 32 levels';
    END IF;
    CASE json_typeof(value)
        WHEN 'object' THEN
            IF (SELECT count(*) <> count(DISTINCT name) FROM json_object_keys(value) AS name) THEN
                RETURN 'has a name twice in one object';
            END IF;
            RETURN (SELECT fault FROM json_each(value) AS member,
                retunable_json_fault(member.value, depth + 1) AS fault
                WHERE fault IS NOT NULL LIMIT 1);
        WHEN 'array' THEN
            RETURN (SELECT fault FROM json_array_elements(value) AS item,
                retunable_json_fault(item, depth + 1) AS fault WHERE fault IS NOT NULL LIMIT 1);
        WHEN 'number' THEN
            RETURN CASE
                WHEN abs(value::text::numeric) > 1.797693134862315807e308 THEN 'has a number that is not finite'
                WHEN value::text ~ '^-?[0-9]+$' AND abs(value::text::numeric) > 9007199254740991
                    THEN 'has an integer beyond 2^53-1, which is not exact everywhere'
            END;
        ELSE
            RETURN NULL;
    END CASE;
END $$;

CREATE OR REPLACE FUNCTION retunable_guardrails_fault(value text) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    checks constant json := retunable_object(value);
BEGIN
    IF checks IS NULL THEN
        RETURN format('must be a JSON object, got %s', retunable_shown(value));
    ELSIF EXISTS (SELECT FROM json_each(checks) AS one WHERE json_typeof(one.value) <> 'object') THEN
        RETURN format('must map each check to a JSON object, got %s', retunable_shown(value));
    END IF;
    RETURN retunable_json_fault(checks, 0);
END $$;

CREATE OR REPLACE FUNCTION retunable_size_fault(key text, value text) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    field constant text := retunable_field(key);
    bytes int := octet_length(value);
    most int := 4186112; -- daprd sends no reply over 4 MiB; 8 KiB are left for the rest of the row.
BEGIN
    IF field IS NOT NULL THEN
        most := 262144;
    ELSIF bytes > 1048576 AND retunable_is_document(retunable_object(value)) THEN
        most := 1048576;
    END IF;
    IF bytes > most AND field IN ('agent_instructions', 'agent_style_guidelines')
        AND ltrim(value, E' \t\n\r\f\x0b') LIKE '[%' THEN
        -- The strings count, not how JSON writes them.
        bytes := (SELECT sum(octet_length(item)) FROM json_array_elements_text(value::json) AS item);
    END IF;
    RETURN CASE WHEN bytes > most THEN format('must be at most %s bytes, got %s', most, bytes) END;
END $$;

CREATE OR REPLACE FUNCTION retunable_fault(key text, value text, OUT reason text, OUT hint text)
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    field constant text := retunable_field(key);
BEGIN
    hint := 'Shorten it, or name a longer text where the agent can fetch it.';
    IF value = '' THEN -- Counts as absent on every store.
        RETURN;
    ELSIF octet_length(key) > 1000 THEN -- A notification must stay under 8,000 bytes.
        reason := 'is a key of more than 1000 bytes';
        RETURN;
    ELSIF field IS NOT NULL AND key !~ '^([A-Za-z0-9._]+/)*[a-z_]+$' THEN
        reason := 'is a key that Dapr cannot read';
        hint := 'Make a prefix of A-Z a-z 0-9 . _ and end it with /, like support_agent/' || field;
        RETURN;
    END IF;
    CASE
        WHEN field = 'max_iterations' THEN
            reason := retunable_number_fault(value, 1, 1000, true);
            hint := 'Write a plain whole number, like 20.';
        WHEN field = 'llm_max_tokens' THEN
            reason := retunable_number_fault(value, 1, 10000000, true);
            hint := 'Write a plain whole number, like 4000.';
        WHEN field = 'llm_temperature' THEN
            reason := retunable_number_fault(value, 0, 2, false);
            hint := 'Write a plain number, like 0.7.';
        WHEN field = 'guardrail_threshold' THEN
            reason := retunable_number_fault(value, 0, 1, false);
            hint := 'Write a plain number, like 0.5.';
        WHEN field IN ('llm_model', 'llm_provider', 'tool_choice') THEN
            IF char_length(value) > 256 THEN
                reason := format('must be at most 256 characters, got %s', char_length(value));
                hint := 'Write the name alone.';
            END IF;
        WHEN field IN ('agent_instructions', 'agent_style_guidelines') THEN
            IF ltrim(value, E' \t\n\r\f\x0b') LIKE '[%' THEN
                reason := retunable_list_fault(value, false);
                hint := 'Write ["first", "second"], or one plain string that does not begin with [.';
            END IF;
        WHEN field = 'tools' THEN
            reason := retunable_list_fault(value, true);
            hint := 'Write ["search", "weather"], [] for no tool, or delete the row for all of them.';
        WHEN field = 'guardrails' THEN
            reason := retunable_guardrails_fault(value);
            hint := 'Write a JSON object of checks and their settings, like {"length": {"max": 2000}}.';
        ELSE
            NULL;
    END CASE;
    IF reason IS NULL THEN
        hint := 'Shorten it, or name a longer text where the agent can fetch it.';
        reason := retunable_size_fault(key, value);
    END IF;
END $$;

CREATE OR REPLACE FUNCTION retunable_metadata_fault(metadata json) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF json_typeof(metadata) <> 'object' THEN
        RETURN format('must be a JSON object, got %s', retunable_shown(metadata::text));
    ELSIF EXISTS (SELECT FROM json_each(metadata) AS member WHERE json_typeof(member.value) <> 'string')
    THEN
        RETURN format('must hold nothing but strings, got %s', retunable_shown(metadata::text));
    END IF;
    RETURN CASE WHEN octet_length(metadata::text) > 4096 THEN 'must be at most 4096 bytes' END;
END $$;

CREATE OR REPLACE FUNCTION retunable_next_version(ours boolean, old text, new text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN old !~ '^[0-9]{1,18}$' THEN CASE WHEN ours AND new = old THEN '1' ELSE new END
        WHEN new = old THEN (old::bigint + 1)::text
        WHEN ours AND new ~ '^[0-9]{1,18}$' AND new::bigint < old::bigint
            THEN (old::bigint + 1)::text
        ELSE new
    END
$$;

-- What the triggers do. They run as their owner, so that a writer needs no right on the audit.

CREATE OR REPLACE FUNCTION retunable_check() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    ours boolean;
    secret text;
    reason text;
    hint text;
BEGIN
    IF NEW.key IS NULL OR NEW.value IS NULL OR NEW.version IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'not_null_violation',
            MESSAGE = 'KEY, VALUE and VERSION must not be NULL: Dapr fails to read such a row',
            HINT = 'Delete the row, or write an empty VALUE, which counts as absent; leave VERSION out.';
    END IF;
    secret := coalesce(
        retunable_secret(NEW.key, NEW.value), retunable_secret('metadata', NEW.metadata::text));
    IF secret IS NOT NULL THEN
        BEGIN -- Else the server's log would quote the statement. Only a superuser's function may.
            PERFORM set_config('log_min_error_statement', 'panic', true);
            PERFORM set_config('log_error_verbosity', 'terse', true); -- COPY quotes its line.
        EXCEPTION WHEN insufficient_privilege THEN
            NULL;
        END;
        RAISE EXCEPTION USING ERRCODE = 'check_violation',
            MESSAGE = format('%s looks like a secret (%s characters) and is refused',
                CASE WHEN secret <> NEW.key THEN left(NEW.key, 200) || ': ' ELSE '' END
                    || left(secret, 60), char_length(NEW.value)),
            HINT = 'Every app on the sidecar can read configuration. Put it in a Dapr secret store '
                'and name it in the program: api_key=Secret(''secretstore/key'').';
    END IF;
    SELECT fault.reason, fault.hint INTO reason, hint FROM retunable_fault(NEW.key, NEW.value) AS fault;
    IF reason IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation', COLUMN = 'value', HINT = hint,
            MESSAGE = left(NEW.key, 200) || ' ' || reason;
    END IF;
    reason := retunable_metadata_fault(NEW.metadata::json);
    IF reason IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation', COLUMN = 'metadata',
            MESSAGE = left(NEW.key, 200) || ': METADATA ' || reason,
            HINT = 'Write an object of strings, like {"owner": "support"}, or NULL.';
    END IF;
    ours := retunable_field(NEW.key) IS NOT NULL
        OR coalesce(retunable_is_document(retunable_object(NEW.value)), false);
    IF TG_OP = 'UPDATE' THEN
        NEW.version := retunable_next_version(ours, OLD.version, NEW.version);
    END IF;
    IF ours AND NEW.version !~ '^[0-9]{1,18}$' THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation', COLUMN = 'version', MESSAGE = format(
                '%s: VERSION must be an integer, got %s', NEW.key, retunable_shown(NEW.version)),
            HINT = 'Leave VERSION out; it is counted up for you.';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION retunable_audit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO configuration_audit (operation,
        old_key, old_value, old_version, old_metadata,
        new_key, new_value, new_version, new_metadata)
    VALUES (TG_OP,
        OLD.key, retunable_withheld(OLD.key, OLD.value), OLD.version, OLD.metadata,
        NEW.key, retunable_withheld(NEW.key, NEW.value), NEW.version, NEW.metadata);
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION retunable_announce(key text, version text) RETURNS void
LANGUAGE sql AS $$
    -- Key and version say enough to read again. A value over 8,000 bytes would fail the statement,
    -- and anything but strings in here ends daprd.
    SELECT pg_notify('config', json_build_object('data', json_build_object(
        'key', key, 'value', '', 'version', left(version, 100)))::text)
$$;

CREATE OR REPLACE FUNCTION retunable_notify() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.key <> NEW.key THEN
        PERFORM retunable_announce(OLD.key, OLD.version);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM retunable_announce(NEW.key, NEW.version);
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION retunable_truncate() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'TRUNCATE on configuration needs READ COMMITTED to see every row it removes',
            HINT = 'Use DELETE FROM configuration.';
    END IF;
    INSERT INTO configuration_audit (operation, old_key, old_value, old_version, old_metadata)
    SELECT TG_OP, key, retunable_withheld(key, value), version, metadata
    FROM configuration ORDER BY key;
    PERFORM retunable_announce(key, version) FROM configuration;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION retunable_append_only() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
        MESSAGE = format('%s on %s is refused: the audit is append-only', TG_OP, TG_TABLE_NAME),
        HINT = 'Write the correction to configuration, which adds a row here.';
END $$;

-- A table that was there before: Dapr's trigger goes, data stays.
DO $$
DECLARE
    columns text;
    item record;
    rows bigint;
BEGIN
    SELECT string_agg(attname, ', ' ORDER BY attnum) INTO columns FROM pg_attribute
    WHERE attrelid = 'configuration'::regclass AND attnum > 0 AND NOT attisdropped;
    IF columns = 'key, value, version' THEN
        ALTER TABLE configuration ADD COLUMN metadata json;
    ELSIF columns <> 'key, value, version, metadata' THEN
        RAISE EXCEPTION 'the table configuration has the columns %', columns
            USING HINT = 'Dapr reads exactly key, value, version, metadata, in this order; '
                'move other columns to a table of your own.';
    END IF;

    -- Whatever its name: a trigger whose function notifies in the shape that Dapr reads.
    FOR item IN SELECT tgname AS name, pg_proc.oid::regprocedure AS function
        FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid
        WHERE tgrelid = 'configuration'::regclass AND NOT tgisinternal
            AND proname NOT LIKE 'retunable\_%' AND prosrc ~* '\m(pg_)?notify\M' AND prosrc ~* 'data'
    LOOP
        EXECUTE format('DROP TRIGGER %I ON configuration', item.name);
        RAISE NOTICE 'replaced trigger %, which called %', item.name, item.function;
    END LOOP;

    FOR item IN SELECT attname AS name, format_type(atttypid, atttypmod) AS type, typcategory AS kind
        FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
        WHERE attrelid = 'configuration'::regclass AND attnum > 0 AND NOT attisdropped
    LOOP
        CASE
            WHEN item.type = ANY (CASE item.name WHEN 'metadata' THEN '{json,jsonb}'::text[]
                ELSE '{text,character varying}' END) THEN
                CONTINUE;
            WHEN item.kind = 'S' OR item.kind = 'N' AND item.name = 'version' THEN
                EXECUTE format('ALTER TABLE configuration ALTER %1$I DROP DEFAULT, '
                    'ALTER %1$I TYPE %2$s USING nullif(%1$I::text, %3$L)::%2$s', item.name,
                    CASE item.name WHEN 'metadata' THEN 'json' ELSE 'varchar' END,
                    CASE item.name WHEN 'metadata' THEN '' END);
            ELSE
                RAISE EXCEPTION 'column % of configuration is %', item.name, item.type
                    USING HINT = 'Make key, value and version varchar and metadata json.';
        END CASE;
    END LOOP;

    INSERT INTO configuration_audit (operation, old_key, old_value, old_version, old_metadata,
        new_key, new_value, new_version, new_metadata)
    SELECT 'MIGRATE', key, retunable_withheld(key, value), version, metadata,
        key, retunable_withheld(key, coalesce(value, '')), coalesce(version, '1'),
        CASE WHEN retunable_metadata_fault(metadata::json) IS NULL THEN metadata END
    FROM configuration WHERE key IS NOT NULL AND (value IS NULL OR version IS NULL
        OR retunable_metadata_fault(metadata::json) IS NOT NULL);
    UPDATE configuration SET value = coalesce(value, ''), version = coalesce(version, '1'),
        metadata = CASE WHEN retunable_metadata_fault(metadata::json) IS NULL THEN metadata END
    WHERE key IS NOT NULL AND (value IS NULL OR version IS NULL
        OR retunable_metadata_fault(metadata::json) IS NOT NULL);

    -- Of several rows Dapr takes the highest integer version, of equal ones the first.
    WITH ranked AS (
        SELECT ctid AS place, row_number() OVER (PARTITION BY key ORDER BY
            CASE WHEN version ~ '^[+-]?[0-9]{1,18}$' THEN version::bigint ELSE -1 END DESC, ctid)
            AS rank
        FROM configuration
    ), gone AS (
        DELETE FROM configuration USING ranked
        WHERE configuration.ctid = ranked.place AND (rank > 1 OR key IS NULL)
        RETURNING configuration.*
    )
    INSERT INTO configuration_audit (operation, old_key, old_value, old_version, old_metadata)
    SELECT 'MIGRATE', key, retunable_withheld(key, value), version, metadata FROM gone;
    GET DIAGNOSTICS rows = ROW_COUNT;
    IF rows > 0 THEN
        RAISE NOTICE 'moved % duplicate rows to configuration_audit', rows;
    END IF;

    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'configuration'::regclass
        AND attname IN ('key', 'value', 'version') AND NOT attnotnull) THEN
        ALTER TABLE configuration ALTER key SET NOT NULL, ALTER value SET NOT NULL,
            ALTER version SET NOT NULL;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'configuration'::regclass
        AND attname = 'version' AND atthasdef) THEN
        ALTER TABLE configuration ALTER version SET DEFAULT '1';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
        WHERE indrelid = 'configuration'::regclass AND indisunique AND indisvalid AND indimmediate
            AND indnkeyatts = 1 AND indpred IS NULL AND attname = 'key') THEN
        IF EXISTS (SELECT FROM pg_index WHERE indrelid = 'configuration'::regclass AND indisprimary)
        THEN
            ALTER TABLE configuration ADD UNIQUE (key);
        ELSE
            ALTER TABLE configuration ADD PRIMARY KEY (key);
        END IF;
    END IF;

    FOR item IN SELECT key, retunable_secret(key, value) IS NOT NULL AS secret, fault.reason
        FROM configuration, retunable_fault(key, value) AS fault
    LOOP
        IF item.secret THEN
            RAISE WARNING 'configuration holds a secret under %', item.key
                USING HINT = 'Move it to a secret store and DELETE the row; the audit withholds its value.';
        ELSIF item.reason IS NOT NULL THEN
            RAISE WARNING '% %', item.key, item.reason;
        END IF;
    END LOOP;

    -- A trigger asks for no right of whoever fires it; nobody else has a use for these.
    FOR item IN SELECT oid::regprocedure AS function FROM pg_proc
        WHERE pronamespace = current_schema()::regnamespace AND proname LIKE 'retunable\_%'
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', item.function);
    END LOOP;
END $$;

CREATE OR REPLACE TRIGGER retunable_check BEFORE INSERT OR UPDATE ON configuration
    FOR EACH ROW EXECUTE FUNCTION retunable_check();
CREATE OR REPLACE TRIGGER retunable_audit AFTER INSERT OR UPDATE OR DELETE ON configuration
    FOR EACH ROW EXECUTE FUNCTION retunable_audit();
CREATE OR REPLACE TRIGGER retunable_notify AFTER INSERT OR UPDATE OR DELETE ON configuration
    FOR EACH ROW EXECUTE FUNCTION retunable_notify();
CREATE OR REPLACE TRIGGER retunable_truncate BEFORE TRUNCATE ON configuration
    FOR EACH STATEMENT EXECUTE FUNCTION retunable_truncate();
CREATE OR REPLACE TRIGGER retunable_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON configuration_audit
    FOR EACH STATEMENT EXECUTE FUNCTION retunable_append_only();

-- ALWAYS: session_replication_role = replica does not switch them off.
ALTER TABLE configuration ENABLE ALWAYS TRIGGER retunable_check,
    ENABLE ALWAYS TRIGGER retunable_audit,
    ENABLE ALWAYS TRIGGER retunable_notify,
    ENABLE ALWAYS TRIGGER retunable_truncate;
ALTER TABLE configuration_audit ENABLE ALWAYS TRIGGER retunable_append_only;

COMMENT ON TABLE configuration IS 'What Dapr reads: live configuration, checked and audited by triggers';
COMMENT ON TABLE configuration_audit IS 'Every change of configuration, append-only';

COMMIT;
