"""The configuration of the generation plane, from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from core import settings


@dataclass(frozen=True, slots=True)
class GenerationSettings:
    """Where a service keeps its objects, and who generates for it: ``providers`` is the chain, first asked first.

    A provider reads its own settings.
    """

    bucket: str
    s3_public_endpoint: str | None
    providers: tuple[str, ...]

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Read BUCKET and what the template sets beside it. Raises ``core.settings.SettingsError``."""
        return cls(
            bucket=settings.text(environ, "BUCKET"),
            s3_public_endpoint=settings.text(environ, "S3_PUBLIC_ENDPOINT", "") or None,
            providers=settings.names(environ, "PROVIDERS", "offline"),
        )


@lru_cache(maxsize=1)
def current() -> GenerationSettings:
    """The settings of this execution environment."""
    return GenerationSettings.from_env(os.environ)
