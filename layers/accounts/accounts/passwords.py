"""Passwords: what they may be, and bcrypt, at the same cost whether the user exists or not."""

import bcrypt

LEAST_CHARACTERS = 8
# bcrypt's own limit: it reads no further.
MOST_BYTES = 72

_COST_DIGITS = slice(4, 6)
_DUMMY_SALT = "." * 22


def validate(password: str) -> str:
    """Return a password that may be chosen. Raises ``ValueError`` with what to change about any other."""
    if len(password) < LEAST_CHARACTERS:
        raise ValueError(f"Choose a password of at least {LEAST_CHARACTERS} characters.")
    return validate_presented(password)


def validate_presented(password: str) -> str:
    """Return a password that could be somebody's. Raises ``ValueError`` for one that nobody can have chosen."""
    if not password:
        raise ValueError("Enter the password.")
    try:
        size = len(password.encode())
    except UnicodeEncodeError:
        raise ValueError("The password holds a broken character (an unpaired surrogate); remove it.") from None
    if size > MOST_BYTES:
        raise ValueError(f"The password is too long: at most {MOST_BYTES} bytes in UTF-8, this one has {size}.")
    if "\0" in password:
        raise ValueError("The password cannot hold the character NUL; remove it.")
    return password


def hash_password(password: str, rounds: int) -> str:
    """The bcrypt hash to store; ``rounds`` is the base-2 logarithm of the work."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds)).decode("ascii")


def verify(password: str, stored_hash: str | None, rounds: int) -> bool:
    """Whether the password belongs to the hash; ``None`` stands for a user who does not exist.

    Every refusal costs the work of ``rounds``: neither an unknown user nor a hash from before the cost was raised
    shows in the time that the answer takes.
    """
    if stored_hash is None:
        _burn(password, rounds)
        return False
    if bcrypt.checkpw(password.encode(), stored_hash.encode("ascii")):
        return True
    # A hash of cost c is 2^c of work, and 2^c + (2^c + 2^(c+1) + … + 2^(rounds-1)) is exactly 2^rounds.
    for cost in range(_cost(stored_hash), rounds):
        _burn(password, cost)
    return False


def needs_rehash(stored_hash: str, rounds: int) -> bool:
    """Whether the hash was made with less work than is asked for now."""
    return _cost(stored_hash) < rounds


def _cost(stored_hash: str) -> int:
    return int(stored_hash[_COST_DIGITS])


def _burn(password: str, cost: int) -> None:
    bcrypt.hashpw(password.encode(), f"$2b${cost:02d}${_DUMMY_SALT}".encode("ascii"))
