"""A digest of what an agent's tools do: equal in two replicas of one build, another for changed code.

It is read from the bytecode, so that a comment or a moved line changes nothing, and covers every
function of the program's own package that a tool reaches by name. What it reaches in other ways
(a library, data, a method of a value) is not seen.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import partial
from inspect import getattr_static, unwrap
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from retunable.agent.tools.tool import Tool


def tool_code(tools: Mapping[str, Tool[..., Any]]) -> str:
    """Return the digest of a program's registered tools: what models are told, and their code."""
    told = [
        [tool.spec.name, tool.spec.description, tool.spec.parameters] for tool in tools.values()
    ]
    codes = sorted({_described(code) for tool in tools.values() for code in _reached(tool)})
    text = json.dumps([sorted(told, key=str), codes], sort_keys=True)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()[:32]


def _reached(tool: Tool[..., Any]) -> Iterator[CodeType]:
    """Yield the code of a tool and of each function of its package that this names, once."""
    package = _package(unwrap(tool.function))
    waiting = list(_functions(tool.function))
    seen: set[CodeType] = set()
    while waiting:
        function = waiting.pop()
        if function.__code__ in seen:
            continue
        seen.add(function.__code__)
        yield function.__code__
        named = [*_named(function, package), *map(_content, function.__closure__ or ())]
        waiting += [
            inner for value in named if _package(value) == package for inner in _functions(value)
        ]


def _functions(value: Any) -> Iterator[FunctionType]:
    """Yield the functions that using a value may call."""
    match value:
        case FunctionType():
            yield value
        case MethodType() | staticmethod() | classmethod():
            yield from _functions(value.__func__)
        case partial():
            yield from _functions(value.func)
        case property():
            yield from _functions(value.fget)
            yield from _functions(value.fset)
        case type():
            own = [each for each in value.__mro__ if _package(each) == _package(value)]
            for member in (member for each in own for member in vars(each).values()):
                if not isinstance(member, type):
                    yield from _functions(member)
        case _ if isinstance(call := getattr(type(value), "__call__", None), FunctionType):  # noqa: B004 - the method itself
            yield call
    if (inner := getattr_static(value, "__wrapped__", None)) is not None:
        yield from _functions(inner)


def _named(function: FunctionType, package: str) -> Iterator[Any]:
    """Yield what the names in a function's code stand for: of its module, or of a module it names."""
    names = set(_names(function.__code__))
    found = [function.__globals__[name] for name in names if name in function.__globals__]
    yield from found
    for value in found:
        if isinstance(value, ModuleType) and value.__name__.partition(".")[0] == package:
            yield from (vars(value)[name] for name in names if name in vars(value))


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)


def _package(value: Any) -> str:
    """Return the package that defines a value, "" for plain data.

    Looked up statically: a proxy that a program holds may answer with whatever stands behind it.
    """
    if isinstance(value, FunctionType | MethodType):
        module: Any = value.__module__
    else:
        module = getattr_static(value, "__module__", None)
    return module.partition(".")[0] if isinstance(module, str) else ""


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None  # not bound yet


def _described(code: CodeType) -> str:
    """Return what a code does as text, without where it stands.

    Not ``marshal``, whose bytes differ with what else the process has done to a string.
    """
    parts = (
        code.co_name,
        code.co_code.hex(),
        code.co_exceptiontable.hex(),
        code.co_flags,
        (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount),
        (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars),
        [_constant(value) for value in code.co_consts],
    )
    return repr(parts)


def _constant(value: Any) -> str:
    match value:
        case CodeType():
            return _described(value)
        case tuple():
            return f"({', '.join(_constant(each) for each in value)})"
        case frozenset():  # its order is another in each process
            return f"{{{', '.join(sorted(_constant(each) for each in value))}}}"
        case _:
            return repr(value)
