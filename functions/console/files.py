"""The files of the page: those of this project in ``static``, those of others in ``vendor``; all in one place for it.

The address of each holds a digest over all of them, so what is at an address never changes.
"""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

_HERE = Path(__file__).parent
_PAGE = "index.html"
TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
"""The media types of what the page loads, by the ends of names."""


@lru_cache
def assets() -> Mapping[str, str]:
    """What the page loads: texts by name."""
    found = sorted(path for folder in ("static", "vendor") for path in (_HERE / folder).iterdir())
    return {path.name: path.read_text() for path in found if path.suffix in TYPES}


@lru_cache
def version() -> str:
    """A digest of all that the page loads."""
    digest = hashlib.sha256()
    for name, text in sorted(assets().items()):
        digest.update(f"{name}\n{len(text)}\n{text}".encode())
    return digest.hexdigest()[:16]


@lru_cache
def page(prefix: str) -> str:
    """The page; ``prefix`` is what its links start with."""
    text = (_HERE / "static" / _PAGE).read_text()
    return text.replace("{assets}", f"{prefix}assets/{version()}").replace("{docs}", "docs" if prefix else "../docs")


def policy(environ: Mapping[str, str]) -> str:
    """The page's content security policy: all is from here, but pictures and sound, which come from S3.

    No script and no style stands in the page itself, and text becomes markup through the sanitizer alone.
    """
    stored = " ".join(_storage(environ))
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            f"img-src 'self' {stored}",
            f"media-src {stored}",
            f"connect-src 'self' {stored}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types dompurify",
        )
    )


def _storage(environ: Mapping[str, str]) -> list[str]:
    """Where signed URLs lead: S3's address here, on AWS the buckets' own ones."""
    for name in ("S3_PUBLIC_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        if elsewhere := environ.get(name, "").strip():
            return [elsewhere]
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION", "")
    buckets = [value for name, value in sorted(environ.items()) if name.endswith("_BUCKET")]
    return [f"https://{bucket}.s3.{place}amazonaws.com" for bucket in buckets for place in ("", f"{region}.")]
