"""RFC 3339 times in UTC with milliseconds: ``2026-11-22T13:30:00.123Z``."""

from datetime import UTC, datetime


def now() -> datetime:
    """The present, in UTC, cut to the millisecond that the API shows."""
    return at_millisecond(int(datetime.now(UTC).timestamp() * 1000))


def at_millisecond(milliseconds: int) -> datetime:
    """The UTC time that many milliseconds after the Unix epoch."""
    seconds, rest = divmod(milliseconds, 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1000)


def rfc3339(moment: datetime) -> str:
    """The moment as the API writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
