"""From store items to a snapshot: a pure function of the items now and the last good ones.

Layers, lowest first: code defaults, the document, the envelope's own overrides, field keys (flags
come between variant and overrides, for each caller, in ``resolve``). Never raises on any items: what
cannot be used becomes a ``Rejection``, and its last good value goes on in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from retunable.config.agent_config import AgentConfig
from retunable.config.declaration import Declaration
from retunable.config.document import Document, PlainBatch, parse_document
from retunable.config.envelope import Envelope, Tombstone
from retunable.config.fieldset import secret_reason
from retunable.config.items import Item, Items, StoreKind, Unreadable, present, readable
from retunable.config.last_good import LastGood
from retunable.config.overrides import Overrides, read_overrides, refused_overrides
from retunable.config.rejection import Refused, Rejection
from retunable.config.snapshot import Provenance, Snapshot
from retunable.config.timed_overrides import TimedOverride, active, values_of

NOTHING: Final = LastGood()
DEFAULT: Final = Provenance("default")


@dataclass(frozen=True, slots=True)
class Built:
    """A snapshot, and what to remember for the next one."""

    snapshot: Snapshot
    last_good: LastGood


@dataclass(frozen=True, slots=True)
class _Base:
    """The layers below the field keys; ``timed`` are the envelope's overrides that hold now."""

    config: AgentConfig
    document: Document | None
    item: Item | None
    kept: bool = False
    lost: bool = False
    rejections: tuple[Rejection, ...] = ()
    timed: tuple[TimedOverride, ...] = ()

    @property
    def effective(self) -> AgentConfig:
        """The config with the envelope's overrides."""
        return self.config.with_values(values_of(self.timed))


def build(
    declaration: Declaration,
    items: Items,
    *,
    last_good: LastGood = NOTHING,
    store: StoreKind = "other",
    whole: bool = True,
    now: float = 0.0,
) -> Built:
    """Build the snapshot (revision 0) of a store's items; items of other keys are ignored.

    ``whole`` is False where the items were not read in one piece. Where no item of the agent
    is left but some are remembered, that is a loss and all remembered ones stay. ``now``, in
    seconds since the epoch, ends an envelope's overrides.
    """
    own = {key: items[key] for key in declaration.keys if key in items}
    current = present(own)
    secret = current.pop(declaration.secret_key, None)
    remembered = _remembered(declaration, last_good)
    lost_all = not current and bool(remembered)
    if lost_all:
        current.update(remembered)
    base = _timed(_read_base(declaration, current, last_good, store), now)
    overrides = _overrides(declaration, base.effective, current, last_good, store)
    above_canary = _above_canary(declaration, base, current, last_good, store)
    lost = tuple(current) if lost_all else (declaration.document,) if base.lost else ()
    snapshot = Snapshot(
        agent=declaration.agent,
        environment=declaration.environment,
        config=base.effective.with_values(overrides.values),
        **_document_parts(base.document),
        overrides=_with_timed(base, overrides),
        canary_overrides=_with_timed(base, above_canary),
        provenance=MappingProxyType(_provenance(declaration, base, overrides)),
        rejected=(
            *base.rejections,
            *overrides.rejections,
            *_for_canary_alone(above_canary, overrides),
            *_secret(declaration, secret),
        ),
        lost=lost,
        whole=whole,
        constraints=declaration.constraints,
        expires_at=min((override.expires_at for override in base.timed), default=None),
    )
    return Built(snapshot, _remember(declaration, base, overrides, last_good))


def _remembered(declaration: Declaration, last_good: LastGood) -> Items:
    # Field keys may be remembered from before the program asked for signed releases.
    keys = declaration.keys if declaration.trust is None else (declaration.document,)
    return {key: last_good.items[key] for key in keys if key in last_good.items}


def _timed(base: _Base, now: float) -> _Base:
    if not isinstance(base.document, Envelope):
        return base
    return replace(base, timed=active(base.document.overrides, now))


def _overrides(
    declaration: Declaration,
    below: AgentConfig,
    current: Items,
    last_good: LastGood,
    store: StoreKind,
) -> Overrides:
    if declaration.trust is None:
        return read_overrides(declaration, below, current, last_good, store)
    return refused_overrides(declaration, current)


def _read_base(
    declaration: Declaration, now: Items, last_good: LastGood, store: StoreKind
) -> _Base:
    key = declaration.document
    current, remembered = now.get(key), last_good.items.get(key)
    if current is None and remembered is None:
        return _Base(declaration.defaults, None, None)
    if current is None:
        return _kept_base(declaration, remembered, last_good, lost=True)
    try:
        item = readable(current, store)
        document = _read_document(item, declaration, last_good)
    except Refused as refusal:
        base = _kept_base(declaration, remembered, last_good)
        rejection = refusal.rejection(key, kept=base.item is not None)
        return _Base(base.config, base.document, base.item, base.kept, rejections=(rejection,))
    return _Base(_config_of(document, declaration), document, item)


def _kept_base(
    declaration: Declaration,
    remembered: Item | None,
    last_good: LastGood,
    *,
    lost: bool = False,
) -> _Base:
    if remembered is None:
        return _Base(declaration.defaults, None, None)
    try:
        document = _read_document(remembered, declaration, last_good)
    except Refused as refusal:
        # The program's constraints have changed since: the layer below, and it is said.
        rejection = refusal.rejection(declaration.document)
        return _Base(declaration.defaults, None, None, lost=lost, rejections=(rejection,))
    config = _config_of(document, declaration)
    return _Base(config, document, remembered, kept=True, lost=lost)


def _above_canary(
    declaration: Declaration, base: _Base, current: Items, last_good: LastGood, store: StoreKind
) -> Overrides | None:
    """Read the field keys above the canary, where a rule across fields may fail on its own."""
    if not isinstance(base.document, Envelope) or base.document.canary is None:
        return None
    below = base.document.canary.config.with_values(values_of(base.timed))
    return _overrides(declaration, below, current, last_good, store)


def _with_timed(base: _Base, overrides: Overrides | None) -> Mapping[str, Any]:
    """Return the envelope's overrides with the field keys above them, for one variant."""
    if overrides is None:
        return MappingProxyType({})
    return MappingProxyType(values_of(base.timed) | overrides.values)


def _for_canary_alone(
    above_canary: Overrides | None, overrides: Overrides
) -> tuple[Rejection, ...]:
    if above_canary is None:
        return ()
    return tuple(
        replace(rejection, reason=f"for the canary: {rejection.reason}")
        for rejection in above_canary.rejections
        if rejection not in overrides.rejections
    )


def _read_document(item: Item, declaration: Declaration, last_good: LastGood) -> Document:
    document = parse_document(item.value, declaration)
    if isinstance(document, Envelope | Tombstone) and document.generation < last_good.generation:
        raise Refused(
            "older_generation",
            f"generation {document.generation} is lower than {last_good.generation}, "
            "which this agent has already taken",
        )
    return document


def _config_of(document: Document, declaration: Declaration) -> AgentConfig:
    match document:
        case PlainBatch(values):
            return declaration.defaults.with_values(values)
        case Envelope(stable=stable):
            return stable.config
        case Tombstone():
            return declaration.defaults


def _document_parts(document: Document | None) -> dict[str, Any]:
    match document:
        case None:
            return {}
        case PlainBatch():
            return {"document": "plain"}
        case Tombstone(generation):
            return {"document": "tombstone", "generation": generation}
        case Envelope():
            return {
                "document": "envelope",
                "generation": document.generation,
                "stable": document.stable,
                "canary": document.canary,
                "rollout": document.rollout,
                "flags": document.flags,
                "revoked": document.revoked,
                "not_honoured": document.not_honoured,
            }


def _provenance(
    declaration: Declaration, base: _Base, overrides: Overrides
) -> dict[str, Provenance]:
    found = dict.fromkeys(declaration.field_keys, DEFAULT)
    if base.item is not None:
        below = Provenance("document", declaration.document, base.item.version, base.kept)
        match base.document:
            case PlainBatch(values):
                found.update(dict.fromkeys(values, below))
            case Envelope():
                found.update(dict.fromkeys(found, below))
    for timed in base.timed:
        item_version = base.item.version if base.item else ""
        found[timed.field] = Provenance(
            "override", declaration.document, item_version, base.kept, timed.expires_at
        )
    for name, used in overrides.used.items():
        key = declaration.field_keys[name]
        found[name] = Provenance("override", key, used.item.version, used.kept)
    return found


def _secret(declaration: Declaration, item: Item | Unreadable | None) -> tuple[Rejection, ...]:
    if item is None:
        return ()
    size = len(item.value) if isinstance(item, Item) else 0
    key = declaration.secret_key
    return (Rejection(key, None, "secret", secret_reason(key, size)),)


def _remember(
    declaration: Declaration, base: _Base, overrides: Overrides, last_good: LastGood
) -> LastGood:
    items = dict(overrides.remembered)
    document = base.item or last_good.items.get(declaration.document)
    if document is not None:
        items[declaration.document] = document
    generation = last_good.generation
    if isinstance(base.document, Envelope | Tombstone):
        generation = max(generation, base.document.generation)
    return LastGood(MappingProxyType(items), generation)
