"""What of a change to the description breaks clients that were written for the description before.

A request breaks when less is accepted than before, an answer when more may come than before: both are one question,
whether one schema accepts less than another, asked in one direction or the other.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Json = Mapping[str, Any]

_AT_MOST = ("maximum", "maxLength", "maxItems")
_AT_LEAST = ("minimum", "minLength", "minItems")
# Of two values of these nobody can tell which accepts less, so any change counts.
_OPAQUE = ("pattern", "format")


def breaking_changes(before: Json, after: Json) -> list[str]:
    """A line for each change that breaks clients, which says where and what."""
    old_paths, new_paths = _expanded(before["paths"], before), _expanded(after["paths"], after)
    return [
        f"{method.upper()} {path}: {change}"
        for path, operations in old_paths.items()
        for method, operation in operations.items()
        for change in _of_operation(operation, new_paths.get(path, {}).get(method))
    ]


def _expanded(value: Any, document: Json) -> Any:
    """The value with what its references refer to in their place. (No model of ours refers to itself.)"""
    if isinstance(value, Mapping):
        if "$ref" in value:
            target: Any = document
            for name in value["$ref"].removeprefix("#/").split("/"):
                target = target[name]
            return _expanded(target, document)
        return {name: _expanded(part, document) for name, part in value.items()}
    if isinstance(value, list):
        return [_expanded(part, document) for part in value]
    return value


def _of_operation(old: Json, new: Json | None) -> Iterator[str]:
    if new is None:
        yield "is gone"
        return
    if old["operationId"] != new["operationId"]:
        yield f"its operationId is {new['operationId']} now, not {old['operationId']}"
    yield from _of_security(old["security"] or [{}], new["security"] or [{}])
    yield from _of_parameters(_parameters(old), _parameters(new))
    yield from _of_body(old.get("requestBody", {}), new.get("requestBody", {}))
    yield from _of_responses(old["responses"], new["responses"])


def _of_security(old: list[Json], new: list[Json]) -> Iterator[str]:
    """Whoever was let in must be; no token at all is an empty requirement."""
    for requirement in old:
        if requirement not in new and {} not in new:
            yield f"{' and '.join(requirement) or 'no token'} does not suffice any more"


def _parameters(operation: Json) -> dict[str, Json]:
    return {f"{each['in']} parameter {each['name']}": each for each in operation.get("parameters", [])}


def _of_parameters(old: Mapping[str, Json], new: Mapping[str, Json]) -> Iterator[str]:
    for name, parameter in old.items():
        if name not in new:
            yield f"{name} is gone"
        else:
            yield from _narrower(parameter["schema"], new[name]["schema"], name)
    for name, parameter in new.items():
        if parameter["required"] and not old.get(name, {}).get("required"):
            yield f"{name} is required now"


def _of_body(old: Json, new: Json) -> Iterator[str]:
    if new.get("required") and not old.get("required"):
        yield "a body is required now"
    for kind, content in old.get("content", {}).items():
        if kind not in new.get("content", {}):
            yield f"no body of {kind} is taken any more"
        else:
            yield from _narrower(content["schema"], new["content"][kind]["schema"], "body")


def _of_responses(old: Json, new: Json) -> Iterator[str]:
    for status, response in old.items():
        if status not in new:
            yield f"{status} is not answered any more"
            continue
        for name, header in response.get("headers", {}).items():
            present = new[status].get("headers", {}).get(name)
            if present is None or (header["required"] and not present["required"]):
                yield f"{status} has not always the header {name} any more"
        for kind, content in response.get("content", {}).items():
            if kind not in new[status].get("content", {}):
                yield f"{status} is not {kind} any more"
            else:
                yield from _wider(content["schema"], new[status]["content"][kind]["schema"], status)
    for status in new:
        if status < "4" and status not in old:
            yield f"{status} is a success, too, now"


def _narrower(old: Json, new: Json, where: str) -> Iterator[str]:
    """What was accepted before and is not any more."""
    yield from _gone(old, new, where)
    for place, keyword in _refused(old, new, where):
        yield f"{place} accepts less than before ({keyword})"


def _wider(old: Json, new: Json, where: str) -> Iterator[str]:
    """What never came before and may come now."""
    yield from _gone(old, new, where)
    for place, keyword in _refused(new, old, where):
        yield f"{place} may be what it was not before ({keyword})"


def _gone(old: Json, new: Json, where: str) -> Iterator[str]:
    """Fields that are not described any more."""
    fields = new.get("properties", {})
    for name, schema in old.get("properties", {}).items():
        if name not in fields:
            yield f"{where}.{name} is gone"
        else:
            yield from _gone(schema, fields[name], f"{where}.{name}")
    if "items" in old and "items" in new:
        yield from _gone(old["items"], new["items"], f"{where}[]")


def _refused(one: Json, other: Json, where: str) -> Iterator[tuple[str, str]]:
    """Where, and by which keyword, ``other`` refuses what ``one`` accepts."""
    choices, wider = one.get("anyOf", [one]), other.get("anyOf", [other])
    if choices != [one] or wider != [other]:
        rest, other_rest = ({name: part for name, part in each.items() if name != "anyOf"} for each in (one, other))
        if not all(any(not list(_refused(rest | a, other_rest | b, where)) for b in wider) for a in choices):
            yield where, "anyOf"
        return
    if "type" in other and one.get("type") not in (other["type"], {"number": "integer"}.get(other["type"])):
        yield where, "type"
        return
    if "enum" in other and ("enum" not in one or any(value not in other["enum"] for value in one["enum"])):
        yield where, "enum"
    for keyword in _AT_MOST:
        if keyword in other and one.get(keyword, float("inf")) > other[keyword]:
            yield where, keyword
    for keyword in _AT_LEAST:
        if keyword in other and one.get(keyword, float("-inf")) < other[keyword]:
            yield where, keyword
    for keyword in _OPAQUE:
        if keyword in other and one.get(keyword) != other[keyword]:
            yield where, keyword
    for name in set(other.get("required", ())) - set(one.get("required", ())):
        yield f"{where}.{name}", "required"
    for name, schema in one.get("properties", {}).items():
        yield from _refused(schema, other.get("properties", {}).get(name, {}), f"{where}.{name}")
    for keyword in ("items", "additionalProperties"):
        if isinstance(other.get(keyword), Mapping):
            yield from _refused(one.get(keyword, {}), other[keyword], f"{where}[]")
    if other.get("additionalProperties") is False and one.get("additionalProperties") is not False:
        yield where, "additionalProperties"
