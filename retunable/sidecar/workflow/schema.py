"""The tables of the workflows; migrations are only ever appended.

Rows of one instance stand together: ``place`` is the instance's key and a number within it in one
integer, so that a history is one range of the table's own order and needs no second index.
"""

from __future__ import annotations

from typing import Final

from retunable.sidecar.connection import Schema

SCHEMA: Final = Schema(
    "workflow",
    (
        """
        CREATE TABLE workflow_instances (
            key INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            name TEXT NOT NULL,
            generation INTEGER NOT NULL,
            length INTEGER NOT NULL,
            status INTEGER NOT NULL,
            suspended INTEGER NOT NULL,
            parent_key INTEGER,
            parent_generation INTEGER,
            parent_task INTEGER,
            version TEXT NOT NULL,
            patches TEXT NOT NULL,
            created_at INTEGER NOT NULL,
            updated_at INTEGER NOT NULL,
            finished_at INTEGER,
            custom_status TEXT,
            start BLOB NOT NULL,
            completed BLOB
        );
        CREATE INDEX workflow_instances_finished ON workflow_instances (finished_at)
            WHERE finished_at IS NOT NULL;
        CREATE INDEX workflow_instances_parent ON workflow_instances (parent_key)
            WHERE parent_key IS NOT NULL;
        CREATE INDEX workflow_instances_stalled ON workflow_instances (status) WHERE status = 8;
        CREATE TABLE workflow_history (place INTEGER PRIMARY KEY, event BLOB NOT NULL);
        CREATE TABLE workflow_inbox (
            number INTEGER PRIMARY KEY, key INTEGER NOT NULL, event BLOB NOT NULL
        );
        CREATE INDEX workflow_inbox_key ON workflow_inbox (key);
        CREATE TABLE workflow_tasks (
            place INTEGER PRIMARY KEY, generation INTEGER NOT NULL, event BLOB NOT NULL
        );
        CREATE TABLE workflow_timers (
            place INTEGER PRIMARY KEY, due_at INTEGER NOT NULL, delay INTEGER NOT NULL,
            event BLOB NOT NULL
        );
        CREATE INDEX workflow_timers_due ON workflow_timers (due_at);
        """,
    ),
)
