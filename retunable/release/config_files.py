"""A config as people keep it in files: ``agent.yaml``, and long texts as Markdown beside it.

``role.md`` beside ``agent.yaml`` is the field ``role``. One line end at a file's end is the
editor's and no part of the text. Reading names file, line and field; writing gives files that read
back the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from retunable.config.agent_config import AgentConfig
from retunable.config.constraints import Constraints
from retunable.config.fields import FIELD_BY_NAME, FIELDS, find_field
from retunable.config.fieldset import check_constraints, checked_fields
from retunable.config.jsontext import JsonTextError, check_json
from retunable.config.rejection import Refused

AGENT_FILE: Final = "agent.yaml"
LONGEST_LINE: Final = 80
"""A text that is longer, or has several lines, is written as Markdown."""
_TEXTS: Final = ("role", "goal", "system_prompt", "instructions", "style_guidelines")


@dataclass(frozen=True, slots=True)
class FileFault:
    """What is wrong in which file; ``line`` and ``field`` where it is about one."""

    file: Path
    reason: str
    line: int | None = None
    field: str | None = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else str(self.file)
        return f"{place}: {self.field + ': ' if self.field else ''}{self.reason}"


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A complete config by field name, and the agent that the file names, if it names one."""

    agent: str | None
    config: Mapping[str, Any]


def read_config(file: Path) -> ConfigFile | FileFault:
    """Read a file of YAML or JSON, and the Markdown beside it where it is an ``agent.yaml``."""
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        return FileFault(file, f"cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        return FileFault(file, "is no UTF-8 text")
    return parse_config(text, file, _markdown(file) if file.name == AGENT_FILE else {})


def parse_config(
    text: str, file: Path, beside: Mapping[str, Path] | None = None
) -> ConfigFile | FileFault:
    """Read a config's text, which lies in ``file``, with texts from the files beside it."""
    lines: dict[str, int] = {}
    try:
        values = _members(text, file, lines)
        agent = values.pop("agent", None)
        if agent is not None and not isinstance(agent, str):
            return FileFault(file, "must be the agent's name", lines["agent"], "agent")
        for name, markdown in (beside or {}).items():
            twice = next((key for key in values if _is_field(key, name)), None)
            if twice is not None:
                return FileFault(file, f"stands in {markdown.name} too", lines[twice], name)
            values[name] = markdown.read_bytes().decode("utf-8-sig").removesuffix("\n")
        return ConfigFile(agent, _complete(values))
    except (OSError, UnicodeDecodeError) as error:
        return FileFault(file, f"a text beside it cannot be read: {error}")
    except _Fault as fault:
        return fault.fault
    except JsonTextError as error:
        return FileFault(file, str(error))
    except Refused as refused:
        line = next((lines[key] for key in lines if _is_field(key, refused.field)), None)
        return FileFault(file, refused.reason, line or _named(refused.reason, lines), refused.field)


def config_files(agent: str, config: Mapping[str, Any]) -> dict[str, str]:
    """Return the files of a config by name: ``agent.yaml``, and Markdown for long texts."""
    files: dict[str, str] = {}
    kept: dict[str, Any] = {"agent": agent}
    for field in FIELDS:
        value = config[field.name]
        text = _one_text(field.name, value)
        if text is not None and (len(text) > LONGEST_LINE or "\n" in text):
            files[f"{field.name}.md"] = text + "\n"
        else:
            kept[field.name] = value
    dumped = yaml.safe_dump(kept, allow_unicode=True, sort_keys=False, width=100)
    return {AGENT_FILE: dumped, **files}


def _one_text(name: str, value: Any) -> str | None:
    if name not in _TEXTS:
        return None
    if isinstance(value, list):
        return value[0] if len(value) == 1 else None
    return value if isinstance(value, str) else None


def _markdown(file: Path) -> dict[str, Path]:
    beside = {name: file.with_name(f"{name}.md") for name in _TEXTS}
    return {name: path for name, path in beside.items() if path.is_file()}


def _members(text: str, file: Path, lines: dict[str, int]) -> dict[str, Any]:
    """Return the members of the file's one mapping, and note the line of each."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or "is no YAML"
        raise _Fault(FileFault(file, f"is no YAML: {reason}", mark and mark.line + 1)) from error
    if not isinstance(node, yaml.MappingNode) or not isinstance(value, dict):
        raise _Fault(FileFault(file, "must hold fields, like 'role: Assistant'", 1))
    for key, _ in node.value:
        if key.value in lines:
            raise _Fault(FileFault(file, "stands twice", key.start_mark.line + 1, key.value))
        lines[key.value] = key.start_mark.line + 1
    check_json(value)
    return value


def _complete(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return every field: one that is left out has no value of its own; tools must be named."""
    config = AgentConfig().with_values(checked_fields(values))
    if config.tools is None:
        raise Refused("shape", "name the tools as a list, [] for none", field="tools")
    check_constraints(config, Constraints())
    return config.to_json()


def _is_field(key: str, name: str | None) -> bool:
    field = find_field(key)
    return field is not None and name in FIELD_BY_NAME and field.name == name


def _named(reason: str, lines: Mapping[str, int]) -> int | None:
    return next((line for key, line in lines.items() if f"'{key}'" in reason), None)


class _Fault(Exception):
    def __init__(self, fault: FileFault) -> None:
        self.fault = fault
