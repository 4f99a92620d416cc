"""What the values of a template can be, whatever intrinsic functions they are written with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

Path = tuple[str | int, ...]
Found = Iterator[tuple[Any, Path]]


def _variants(value: Any, path: Path) -> Found:
    match value:
        case {"Fn::If": [_, chosen, other]}:
            yield from _variants(chosen, (*path, "Fn::If", 1))
            yield from _variants(other, (*path, "Fn::If", 2))
        case {"Ref": "AWS::NoValue"}:
            return
        case _:
            yield value, path


def find(value: Any, path: Path, *keys: str) -> Found:
    """What is under these keys, and where: each item of a list, both sides of `Fn::If`, nothing for `AWS::NoValue`."""
    for one, where in _variants(value, path):
        if isinstance(one, list):
            for index, item in enumerate(one):
                yield from find(item, (*where, index), *keys)
        elif not keys:
            yield one, where
        elif isinstance(one, dict) and keys[0] in one:
            yield from find(one[keys[0]], (*where, keys[0]), *keys[1:])


def text(value: Any) -> str:
    """A value as text. What only a deployed stack knows is in it as `${Name}`, `${Name.Attribute}`, or `${?}`."""
    match value:
        case str() | int():
            return str(value)
        case {"Ref": str(name)} | {"Fn::GetAtt": str(name)}:
            return f"${{{name}}}"
        case {"Fn::GetAtt": [str(name), str(attribute)]}:
            return f"${{{name}.{attribute}}}"
        case {"Fn::Sub": str(template)}:
            return str(template)
        case {"Fn::Sub": [str(template), dict(values)]}:
            known = {name: text(each) for name, each in values.items()}
            return re.sub(r"\$\{(\w+)\}", lambda found: known.get(found[1], found[0]), template)
        case {"Fn::Join": [str(separator), list(parts)]}:
            return str(separator).join(map(text, parts))
        case _:
            return "${?}"


def names(value: Any) -> list[str]:
    """The names that a value refers to: of resources and of parameters."""
    return re.findall(r"\$\{(\w+)", text(value))
