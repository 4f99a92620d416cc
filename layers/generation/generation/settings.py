"""The configuration of the generation plane, from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from core import settings


@dataclass(frozen=True, slots=True)
class GenerationSettings:
    """Where a service keeps its objects, and who generates for it.

    ``providers`` is the chain, first asked first. ``pollinations_secret_arn`` is empty where no key is configured.
    """

    bucket: str
    s3_public_endpoint: str | None
    providers: tuple[str, ...]
    pollinations_secret_arn: str | None
    pollinations_url: str
    pollinations_keyless_url: str
    gtts_url: str

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Read BUCKET and what the template sets beside it. Raises ``core.settings.SettingsError``."""
        return cls(
            bucket=settings.text(environ, "BUCKET"),
            s3_public_endpoint=settings.text(environ, "S3_PUBLIC_ENDPOINT", "") or None,
            providers=settings.names(environ, "PROVIDERS", "offline"),
            pollinations_secret_arn=settings.text(environ, "POLLINATIONS_SECRET_ARN", "") or None,
            pollinations_url=settings.text(environ, "POLLINATIONS_URL", "https://gen.pollinations.ai/image"),
            pollinations_keyless_url=settings.text(
                environ, "POLLINATIONS_KEYLESS_URL", "https://image.pollinations.ai/prompt"
            ),
            gtts_url=settings.text(environ, "GTTS_URL", "https://translate.google.com"),
        )


@lru_cache(maxsize=1)
def current() -> GenerationSettings:
    """The settings of this execution environment."""
    return GenerationSettings.from_env(os.environ)
