-- The table stays, for roles have rights on it; the next heartbeats say what the items are.
SELECT set_config('search_path', format('%I, pg_temp', current_schema()), true);

ALTER TABLE release_replicas RENAME COLUMN override_keys TO items;
ALTER TABLE release_replicas ALTER COLUMN items DROP NOT NULL, DROP COLUMN address;
UPDATE release_replicas SET items = NULL;
