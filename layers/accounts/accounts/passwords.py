"""Passwords: what they may be, and bcrypt, at the same cost whether the user exists or not."""

import unicodedata
from enum import Enum, auto

import bcrypt

LEAST_CHARACTERS = 8
# bcrypt's own limit: it reads no further.
MOST_BYTES = 72

_COST_DIGITS = slice(4, 6)
_DUMMY_SALT = "." * 22


class Match(Enum):
    """Whether a hash is of the form of a password that would be hashed today, or of the one that was before."""

    CURRENT = auto()
    FORMER = auto()


def normal_form(password: str) -> str:
    """The password as it is hashed: spaces of all kinds are the ASCII space, letters and their marks are composed.

    This is the profile OpaqueString of RFC 8265, except for what its string class forbids: see ``validate``.
    """
    spaced = "".join(" " if unicodedata.category(character) == "Zs" else character for character in password)
    return unicodedata.normalize("NFC", spaced)


def validate(password: str) -> str:
    """Return a password that may be chosen. Raises ``ValueError`` with what to change about any other.

    Of what RFC 8264's FreeformClass forbids, control characters are: nobody means to type one. Joiners and characters
    that this Python's Unicode does not know yet are not: keyboards write emoji with both.
    """
    if len(normal_form(password)) < LEAST_CHARACTERS:
        raise ValueError(f"Choose a password of at least {LEAST_CHARACTERS} characters.")
    _refuse_broken(password)
    if any(unicodedata.category(character) == "Cc" for character in password):
        raise ValueError("The password cannot hold control characters, such as NUL or a tab; remove them.")
    _refuse_long(normal_form(password))
    return password


def validate_presented(password: str) -> str:
    """Return a password that could be somebody's. Raises ``ValueError`` for one that nobody can have chosen."""
    if not password:
        raise ValueError("Enter the password.")
    _refuse_broken(password)
    if "\0" in password:
        raise ValueError("The password cannot hold the character NUL; remove it.")
    if not _forms(password):
        _refuse_long(normal_form(password))
    return password


def hash_password(password: str, rounds: int) -> str:
    """The bcrypt hash to store, of the normal form; ``rounds`` is the base-2 logarithm of the work."""
    return bcrypt.hashpw(_forms(password)[0], bcrypt.gensalt(rounds)).decode("ascii")


def verify(password: str, stored_hash: str | None, rounds: int) -> Match | None:
    """How the password belongs to the hash; a ``stored_hash`` of None stands for a user who does not exist.

    A hash may be from before passwords had a normal form, so one that is not in it is tried as it was typed, too.

    Every refusal of a text costs the work of ``rounds`` once or, where its normal form is another one, twice: neither
    an unknown user nor a hash from before the cost was raised shows in the time that the answer takes.
    """
    forms = _forms(password)
    if stored_hash is not None:
        for place, form in enumerate(forms):
            if bcrypt.checkpw(form, stored_hash.encode("ascii")):
                return Match.FORMER if place else Match.CURRENT
    for form in forms:
        if stored_hash is None:
            _burn(form, rounds)
            continue
        # A hash of cost c is 2^c of work, and 2^c + (2^c + 2^(c+1) + … + 2^(rounds-1)) is exactly 2^rounds.
        for cost in range(_cost(stored_hash), rounds):
            _burn(form, cost)
    return None


def needs_rehash(stored_hash: str, match: Match, rounds: int) -> bool:
    """Whether the hash is of a former form, or was made with less work than is asked for now."""
    return match is Match.FORMER or _cost(stored_hash) < rounds


def _forms(password: str) -> list[bytes]:
    """What a hash of the password may be of, as bcrypt takes it: the normal form, and what was typed if it differs.

    One of them may be too long: composing shortens most texts and lengthens a few.
    """
    forms = dict.fromkeys((normal_form(password).encode(), password.encode()))
    return [form for form in forms if len(form) <= MOST_BYTES]


def _refuse_broken(password: str) -> None:
    try:
        password.encode()
    except UnicodeEncodeError:
        raise ValueError("The password holds a broken character (an unpaired surrogate); remove it.") from None
    # What was not UTF-8 is read as this, so passwords that differ would be one.
    if "\ufffd" in password:
        raise ValueError("The password holds a broken character (U+FFFD); send it in UTF-8.")


def _refuse_long(password: str) -> None:
    size = len(password.encode())
    if size > MOST_BYTES:
        raise ValueError(f"The password is too long: at most {MOST_BYTES} bytes in UTF-8, this one has {size}.")


def _cost(stored_hash: str) -> int:
    return int(stored_hash[_COST_DIGITS])


def _burn(form: bytes, cost: int) -> None:
    bcrypt.hashpw(form, f"$2b${cost:02d}${_DUMMY_SALT}".encode("ascii"))
