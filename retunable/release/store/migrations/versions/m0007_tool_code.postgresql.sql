-- A digest of the tools of the replica on which a run of a rollout began.
SELECT set_config('search_path', format('%I, pg_temp', current_schema()), true);

ALTER TABLE release_run_events ADD COLUMN tool_code text;
