"""Where things that are costly to make are kept between checkouts of the same user."""

from __future__ import annotations

import os
from pathlib import Path


def cache_directory() -> Path:
    """Return `${XDG_CACHE_HOME:-~/.cache}/retunable`, made if need be."""
    root = os.environ.get("XDG_CACHE_HOME")
    folder = (Path(root) if root else Path.home() / ".cache") / "retunable"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
