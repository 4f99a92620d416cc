"""Values of a query, taken as the API's description says and in no other spelling."""

import re
from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import BeforeValidator

from core.description import Described

_WHOLE_NUMBER = re.compile(r"-?\d{1,9}", re.ASCII)
# As JavaScript, Python and C write it.
_FLAGS = {"true": True, "True": True, "1": True, "false": False, "False": False, "0": False}


def _flag(value: object) -> object:
    # pydantic takes "yes", "on" and "T", too.
    # A list, when it was sent twice.
    if not isinstance(value, str) or value not in _FLAGS:
        raise ValueError("Must be true or false.")
    return _FLAGS[value]


def _whole_number(value: object) -> object:
    # pydantic takes "1_0", "7.0" and " 7 ", too.
    if not isinstance(value, str) or _WHOLE_NUMBER.fullmatch(value) is None:
        raise ValueError("Must be a whole number.")
    return value


Flag = Annotated[bool, BeforeValidator(_flag), Described(type="string", enum=list(_FLAGS)), Query()]
WHOLE_NUMBER = BeforeValidator(_whole_number)
