"""What to tell people when a provider refuses: the setting, where it came from, and the mend."""

from __future__ import annotations

from retunable.config.fields import FIELD_BY_NAME
from retunable.config.resolve import Effective
from retunable.config.snapshot import Snapshot
from retunable.errors import ProviderRefused

_FIELD_OF = {"key": "provider", "model": "model", "request": "model"}


def explain_refusal(refused: ProviderRefused, effective: Effective, snapshot: Snapshot) -> str:
    """Return one sentence for status, log and the failed run."""
    field = _FIELD_OF[refused.setting]
    setting = FIELD_BY_NAME[field].key
    value = getattr(effective.config, field)
    origin = _origin(field, effective, snapshot)
    return (
        f"provider {effective.config.provider!r} {refused}; "
        f"{setting} is {value!r} from {origin}: {_mend(refused, setting)}"
    )


def _origin(field: str, effective: Effective, snapshot: Snapshot) -> str:
    if effective.revision != snapshot.revision and effective.checksum != snapshot.checksum:
        return f"revision {effective.revision}, which this run is pinned to"
    if effective.checksum != snapshot.checksum and field not in effective.override_keys:
        flags = f" and flags {', '.join(effective.flags)}" if effective.flags else ""
        return f"the {effective.variant} version {effective.version}{flags}"
    provenance = snapshot.provenance.get(field)
    if provenance is None or provenance.layer == "default":
        return "the code default"
    version = f" (version {provenance.item_version})" if provenance.item_version else ""
    kind = "document" if provenance.layer == "document" else "key"
    return f"the store's {kind} {provenance.key}{version}"


def _mend(refused: ProviderRefused, setting: str) -> str:
    match refused.setting:
        case "key":
            return f"mend that key, or set {setting} to another provider"
        case "model":
            return f"set {setting} to a model that it serves"
        case _:
            return f"check {setting} and the limits beside it"
