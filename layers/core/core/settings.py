"""Read configuration from the environment, once, with a message that names the variable that is wrong."""

from collections.abc import Mapping


class SettingsError(RuntimeError):
    """A variable of the environment is missing or not valid; the message names it, never its value."""


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
