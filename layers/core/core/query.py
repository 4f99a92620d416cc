"""Values of a query, taken as the API's description says and in no other spelling.

A route's function names them as its arguments, each annotated with a ``Parameter``; no library is needed to read them.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Annotated, Any, get_args, get_type_hints

from core.errors import FieldError, Unprocessable

_WHOLE_NUMBER = re.compile(r"-?\d{1,9}", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
# As JavaScript, Python and C write it.
_FLAGS = {"true": True, "True": True, "1": True, "false": False, "False": False, "0": False}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value of the query: ``read`` makes it of a text, or raises ``ValueError`` with a message for the caller.

    ``name`` is how it is sent, where that is not the argument's name. ``schema`` is what the description says of it.
    """

    read: Callable[[str], Any]
    description: str = ""
    name: str = ""
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    default: Any = None


def parameters(function: Callable[..., Any]) -> dict[str, Parameter]:
    """The query's values that a function takes, by its arguments' names."""
    hints = get_type_hints(function, include_extras=True)
    found: dict[str, Parameter] = {}
    for name, argument in inspect.signature(function).parameters.items():
        for annotation in get_args(hints.get(name)):
            if isinstance(annotation, Parameter):
                found[name] = replace(annotation, name=annotation.name or name, default=argument.default)
    return found


def values(wanted: Mapping[str, Parameter], event: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments in an API Gateway event. Raises ``Unprocessable`` that names each value that is not valid."""
    if not wanted:
        return {}
    several = event.get("multiValueQueryStringParameters") or {}
    single = event.get("queryStringParameters") or {}
    found: dict[str, Any] = {}
    wrong: list[FieldError] = []
    for argument, parameter in wanted.items():
        sent = several.get(parameter.name) or ([single[parameter.name]] if parameter.name in single else [])
        if not sent:
            found[argument] = parameter.default
            continue
        try:
            if len(sent) > 1:
                raise ValueError("Must be sent once.")
            found[argument] = parameter.read(sent[0] or "")
        except ValueError as error:
            wrong.append(FieldError(parameter.name, str(error)))
    if wrong:
        raise Unprocessable("The request is not valid: see errors.", errors=wrong)
    return found


def _flag(text: str) -> bool:
    if text not in _FLAGS:
        raise ValueError("Must be true or false.")
    return _FLAGS[text]


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Reads a whole number within these bounds."""

    def read(text: str) -> int:
        if _WHOLE_NUMBER.fullmatch(text) is None or not least <= int(text) <= most:
            raise ValueError(f"Must be a whole number from {least} to {most}.")
        return int(text)

    return read


def day(text: str) -> date:
    """Reads a date such as 2026-11-22. Raises ``ValueError``."""
    if _DAY.fullmatch(text) is None:
        raise ValueError("Must be a date such as 2026-11-22.")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("Must be a day that the calendar has, such as 2026-11-22.") from None


Flag = Annotated[bool, Parameter(_flag, schema={"type": "string", "enum": list(_FLAGS)})]
Limit = Annotated[
    int,
    Parameter(
        whole_number(1, 100),
        "How many items a page has at most.",
        schema={"type": "integer", "maximum": 100, "minimum": 1},
    ),
]
Cursor = Annotated[str | None, Parameter(str, "The nextCursor of the page before, unchanged.")]
FromDay = Annotated[
    date | None,
    Parameter(day, "The first day, in UTC; not after `to`.", "from", {"type": "string", "format": "date"}),
]
ToDay = Annotated[date | None, Parameter(day, "The last day, in UTC.", "to", {"type": "string", "format": "date"})]
UserId = Annotated[
    str | None,
    Parameter(str, "Whose history, for administrators; `anonymous` is a user, too. Else one's own.", "userId"),
]
