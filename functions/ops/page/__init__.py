"""The page of GET /docs and what it loads: Swagger UI, which Powertools brings, and our own start of it."""

import hashlib
from functools import lru_cache
from pathlib import Path

import aws_lambda_powertools

_HERE = Path(__file__).parent
_SWAGGER_UI = Path(aws_lambda_powertools.__file__).parent / "event_handler" / "openapi" / "swagger_ui"
_FOLDERS = {"init.js": _HERE, "swagger-ui-bundle.min.js": _SWAGGER_UI, "swagger-ui.min.css": _SWAGGER_UI}

TYPES = {"init.js": "text/javascript", "swagger-ui-bundle.min.js": "text/javascript", "swagger-ui.min.css": "text/css"}
"""The media types of the files that the page loads."""


@lru_cache
def asset(name: str) -> str:
    """A file that the page loads. Raises KeyError for any other."""
    return (_FOLDERS[name] / name).read_text()


@lru_cache
def html() -> str:
    """The page, which asks for each file with a digest of its content, so that a file never changes."""
    text = (_HERE / "index.html").read_text()
    for name in _FOLDERS:
        text = text.replace(f"{{{name}}}", hashlib.sha256(asset(name).encode()).hexdigest()[:16])
    return text
