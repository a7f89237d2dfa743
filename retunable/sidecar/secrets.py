"""Secrets from a local file or this process's environment, by Dapr's rules for both.

A file is read at each question, so that a key can be changed while the sidecar runs. A value is
never logged.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from retunable.errors import ConfigurationError

# As in daprd: what protects the sidecar itself is nobody's to read.
_FORBIDDEN: Final = frozenset({"DAPR_API_TOKEN", "APP_API_TOKEN"})

Secret = Mapping[str, str]
"""The fields of one secret; usually one, under the secret's own name."""


class SecretStore(Protocol):
    """Where secrets are read."""

    @property
    def type(self) -> str:
        """The component type of Dapr that this stands for."""

    def get(self, name: str) -> Secret | None:
        """Return one secret, or None where there is none.

        Raises:
            ConfigurationError: the store cannot be read.
        """

    def get_all(self) -> Mapping[str, Secret]:
        """Return every secret.

        Raises:
            ConfigurationError: the store cannot be read.
        """


@dataclass(frozen=True, slots=True)
class EnvironmentSecrets:
    """Environment variables, under their names without ``prefix``."""

    prefix: str
    type: str = "secretstores.local.env"

    def get(self, name: str) -> Secret | None:
        """Return a variable; like daprd, an empty value where there is none."""
        variable = self.prefix + name
        return {name: "" if variable in _FORBIDDEN else os.environ.get(variable, "")}

    def get_all(self) -> Mapping[str, Secret]:
        """Return every variable that begins with the prefix."""
        names = (v for v in os.environ if v.startswith(self.prefix) and v not in _FORBIDDEN)
        bare = (name.removeprefix(self.prefix) for name in names)
        return {name: {name: os.environ[self.prefix + name]} for name in bare if name}


@dataclass(frozen=True, slots=True)
class FileSecrets:
    """A JSON file; nested names are joined by ``separator``.

    With ``several_values`` the outermost names are the secrets and the rest their fields.
    """

    path: Path
    separator: str = ":"
    several_values: bool = False
    type: str = "secretstores.local.file"

    def get(self, name: str) -> Secret | None:
        """Return one secret of the file."""
        return self.get_all().get(name)

    def get_all(self) -> Mapping[str, Secret]:
        """Return every secret of the file."""
        content = self._content()
        if not self.several_values:
            return {name: {name: value} for name, value in self._flat("", content)}
        # daprd knows of no list there.
        return {
            name: self._fields(name, value)
            for name, value in content.items()
            if not isinstance(value, list)
        }

    def _fields(self, name: str, value: Any) -> Secret:
        return dict(self._flat("", value)) if isinstance(value, dict) else {name: _text(value)}

    def _flat(self, name: str, value: Any) -> Iterator[tuple[str, str]]:
        match value:
            case dict():
                inner: Any = value.items()
            case list():
                inner = enumerate(value)
            case _:
                yield name, _text(value)
                return
        for key, part in inner:
            yield from self._flat(f"{name}{self.separator}{key}" if name else str(key), part)

    def _content(self) -> dict[str, Any]:
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigurationError(
                f"the secrets file {self.path} cannot be read ({error.strerror})"
            ) from error
        except ValueError:
            # Not chained: a parser's message quotes what it read.
            raise ConfigurationError(f"the secrets file {self.path} is no JSON") from None
        if not isinstance(content, dict):
            raise ConfigurationError(f"the secrets file {self.path} holds no JSON object")
        return content


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
