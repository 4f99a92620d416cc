"""The passwords that are guessed first: a bundled list, read when somebody chooses a password."""

import unicodedata
from functools import lru_cache
from importlib.resources import files


def is_common(password: str) -> bool:
    """Whether the password is in the list, in whatever case and Unicode form."""
    return _folded(password) in _listed()


@lru_cache(maxsize=1)
def _listed() -> frozenset[str]:
    text = files("accounts").joinpath("common_passwords.txt").read_text(encoding="utf-8")
    return frozenset(_folded(line) for line in text.splitlines() if not line.startswith("#"))


def _folded(password: str) -> str:
    """What the spellings of one password have in common: case folded, in Unicode's form NFKC."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", password).casefold())
