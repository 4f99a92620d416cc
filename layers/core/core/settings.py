"""Read configuration from the environment, once, with a message that names the variable that is wrong."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class SettingsError(RuntimeError):
    """A variable of the environment is missing or not valid; the message names it, never its value."""


READ_SECRET = ("secretsmanager:GetSecretValue",)
"""What a setting grants that names a secret."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A parameter of the stack that reaches a function as a variable: ``GttsUrl`` as GTTS_URL.

    With ``grants`` it is an ARN, or a comma list of them, and the function may do these actions there; empty for none.
    """

    parameter: str
    description: str
    default: str = ""
    grants: tuple[str, ...] = ()

    @property
    def variable(self) -> str:
        """The environment variable."""
        return _WORD_START.sub("_", self.parameter).upper()

    def read(self, environ: Mapping[str, str]) -> str:
        """The value, or the default; what neither has is empty."""
        return environ.get(self.variable, "").strip() or self.default


def text(environ: Mapping[str, str], name: str, default: str | None = None) -> str:
    """The variable, trimmed; an empty one counts as absent. Raises ``SettingsError`` without a default."""
    value = environ.get(name, "").strip() or default
    if value is None:
        raise SettingsError(f"environment variable {name} is not set")
    return value


def integer(environ: Mapping[str, str], name: str, default: int, *, least: int, most: int) -> int:
    """The variable as a whole number in ``least..most``. Raises ``SettingsError`` for anything else."""
    raw = text(environ, name, str(default))
    try:
        value = int(raw)
    except ValueError:
        raise SettingsError(f"environment variable {name} is not a whole number") from None
    if not least <= value <= most:
        raise SettingsError(f"environment variable {name} is not within {least}..{most}")
    return value


def names(environ: Mapping[str, str], name: str, default: str) -> tuple[str, ...]:
    """The variable as a comma-separated list of at least one name."""
    values = tuple(part.strip() for part in text(environ, name, default).split(",") if part.strip())
    if not values:
        raise SettingsError(f"environment variable {name} lists nothing")
    return values
