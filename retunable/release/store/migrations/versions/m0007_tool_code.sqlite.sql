-- A digest of the tools of the replica on which a run of a rollout began.

ALTER TABLE release_run_events ADD COLUMN tool_code TEXT;
