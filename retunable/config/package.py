"""The version of this package, which an envelope may ask for."""

from typing import Final

PACKAGE_VERSION: Final = "0.1.0"
