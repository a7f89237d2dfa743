"""What a program says about its live configuration, and every interval of the live room."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Every interval of the live room, so that a test can shorten or switch off each one.

    ``inf`` switches a countermeasure off: no reconcile read, no blame for a change that the
    stream did not announce, no second read after a subscription.
    """

    reconcile_seconds: float = 3.0
    stale_after_reconciles: int = 3
    second_get_seconds: float = 0.5
    verify_seconds: float = 0.05
    announce_grace_seconds: float = 2.0
    renew_after_failed_reads: bool = True
    fruitless_replacements: int = 2
    stream_retry_seconds: float = 60.0
    absent_key_seconds: float = 30.0
    call_deadline_seconds: float = 2.0
    describe_deadline_seconds: float = 1.0
    sidecar_deadline_seconds: float = 60.0
    backoff_first_seconds: float = 0.1
    backoff_last_seconds: float = 5.0
    read_retry_last_seconds: float = 1.0
    unsettled_retry_seconds: float = 0.05
    agreeing_reads: int = 4
    last_good_delay_seconds: float = 0.1
    restart_limit: int = 5
    restart_window_seconds: float = 60.0

    @property
    def stale_after_seconds(self) -> float:
        """The age of the last good read at which what is served counts as stale."""
        return self.reconcile_seconds * self.stale_after_reconciles

    @property
    def absent_slices(self) -> int:
        """In how many timer reads each absent key has its turn once; one is kept in reserve."""
        return max(1, int(self.absent_key_seconds / self.reconcile_seconds) - 1)


@dataclass(frozen=True, slots=True)
class ConfigSubscription:
    """Which configuration store retunes an agent, and how.

    ``store`` is the name of the Dapr component. ``prefix`` stands before all keys of the agent
    (``support/``), ``config_key`` replaces the document key that the agent's name gives.
    ``accept="releases"`` takes nothing but releases that one of the keys in ``trust`` has signed
    (``ed25519:…``, as `retune key` shows it): no field key, no hand-made document.
    ``start_without_store`` starts on code defaults where neither the store nor a last good
    configuration on disk (``last_good_dir``, None to keep none) can be had.
    """

    store: str = "runtime-config"
    prefix: str = field(default="", kw_only=True)
    config_key: str | None = field(default=None, kw_only=True)
    accept: Literal["anything", "releases"] = field(default="anything", kw_only=True)
    trust: tuple[str, ...] = field(default=(), kw_only=True)
    start_without_store: bool = field(default=False, kw_only=True)
    last_good_dir: Path | str | None = field(default=".retunable/last-good", kw_only=True)
    timings: Timings = field(default=Timings(), kw_only=True)
