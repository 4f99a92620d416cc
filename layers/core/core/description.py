"""What the API's description says of a field beyond its type, as keywords of JSON Schema.

Pydantic finds them by a method, so a module that is imported without pydantic may use them, too.
"""

from typing import Any


class Described:
    """Goes into ``Annotated``: a text for people, and JSON Schema keywords such as ``format`` or ``examples``.

    Nothing is checked by it: what it says of a request is what the validators beside it do.
    """

    def __init__(self, description: str = "", **keywords: Any) -> None:
        self.keywords = ({"description": description} if description else {}) | keywords

    def __get_pydantic_json_schema__(self, core_schema: Any, handler: Any) -> dict[str, Any]:
        """The schema of the type with the keywords added (pydantic's protocol)."""
        schema: dict[str, Any] = handler(core_schema)
        return schema | self.keywords
