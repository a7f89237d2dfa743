"""The messages of the workflow service as the SDK generated them, without the SDK around them.

Importing ``dapr.ext.workflow`` costs 0.35 s and 20 MB, most of it for an HTTP client that the
sidecar never uses; the messages alone cost 0.03 s.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import PathFinder
from types import ModuleType
from typing import TYPE_CHECKING, Final

from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import StringValue

_PACKAGES: Final = (
    "dapr.ext.workflow",
    "dapr.ext.workflow._durabletask",
    "dapr.ext.workflow._durabletask.internal",
)


def _import_messages() -> ModuleType:
    """Import the messages with packages whose ``__init__`` is not run, and leave no trace of it.

    A later import of the SDK finds nothing half there and runs whole; its message classes are
    these, for protobuf has one for each type.
    """
    messages = f"{_PACKAGES[-1]}.protos"
    if _PACKAGES[0] in sys.modules:
        return import_module(messages)
    import_module("dapr.ext")
    for name in _PACKAGES:
        sys.modules[name] = _bare_package(name)
    try:
        return import_module(messages)
    finally:
        for name in [name for name in sys.modules if name.startswith(_PACKAGES[0])]:
            del sys.modules[name]


def _bare_package(name: str) -> ModuleType:
    parent = sys.modules[name.rpartition(".")[0]]
    found = PathFinder.find_spec(name, parent.__path__)
    if found is None or found.submodule_search_locations is None:
        raise ImportError(f"{name} is not where dapr 1.19 has it; install retunable's own version")
    package = ModuleType(name)
    package.__path__ = list(found.submodule_search_locations)
    return package


if TYPE_CHECKING:
    import dapr.ext.workflow._durabletask.internal.protos as pb
else:
    pb = _import_messages()

__all__ = ["StringValue", "Timestamp", "pb"]
