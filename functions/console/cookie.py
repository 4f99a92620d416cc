"""The cookie that holds the refresh token of the page."""

from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

NAME = "console_session"
# A browser takes a name of this host for itself, whatever the scheme; elsewhere the cookie travels by TLS alone.
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


def kept(header: str | None) -> str | None:
    """The refresh token in what a browser sent."""
    try:
        found = SimpleCookie(header or "").get(NAME)
    except CookieError:
        return None
    return found.value if found and found.value.isascii() and found.value else None


def of(host: str, value: str, seconds: int) -> dict[str, str]:
    """The header that sets the cookie. Without a path it is of this path's folder alone, whatever stands before."""
    secure = "" if _name(host) in _LOCAL else "; Secure"
    return {"Set-Cookie": f"{NAME}={value}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"}


def _name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:  # a bracket that is not closed, say
        return None
