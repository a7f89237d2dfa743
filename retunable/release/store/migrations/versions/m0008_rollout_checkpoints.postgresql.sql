-- Where the analysis of a rollout stood, so that whoever starts anew reads the rest alone. It can be
-- deleted at any time: what it says is worked out again from release_run_events.
SELECT set_config('search_path', format('%I, pg_temp', current_schema()), true);

CREATE TABLE release_rollout_checkpoints (
    rollout text PRIMARY KEY REFERENCES release_rollouts (id),
    arrived bigint NOT NULL,
    data text NOT NULL
);
-- Whether somebody was enrolled before a checkpoint is asked of the events themselves.
CREATE INDEX release_run_events_user ON release_run_events (user_hmac, rollout, arrived)
    WHERE user_hmac IS NOT NULL;
