-- Where the analysis of a rollout stood, so that whoever starts anew reads the rest alone. It can be
-- deleted at any time: what it says is worked out again from release_run_events.

CREATE TABLE release_rollout_checkpoints (
    rollout TEXT PRIMARY KEY NOT NULL REFERENCES release_rollouts (id),
    arrived INTEGER NOT NULL,
    data TEXT NOT NULL
);
-- Whether somebody was enrolled before a checkpoint is asked of the events themselves.
CREATE INDEX release_run_events_user ON release_run_events (user_hmac, rollout, arrived)
    WHERE user_hmac IS NOT NULL;
