"""Email addresses: what may be registered, what may be presented, and the normal form that spellings share.

An address is never written to, it only names an account; so domains of special use (``.local``, ``.test``) are let be.
"""

import unicodedata
from dataclasses import dataclass

SHORTEST = 3
LONGEST = 254
LONGEST_LOCAL_PART = 64
LONGEST_LABEL = 63

_FORM = "Write the email as name@example.com."
_MARKS = frozenset('"(),:;<>[\\]')
_REPLACEMENT = "\ufffd"


@dataclass(frozen=True, slots=True)
class Address:
    """A valid address in its normal form: in small letters and NFC, with both forms of the domain (RFC 5890)."""

    local: str
    domain: str
    ascii_domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"


def validate(text: str) -> str:
    """Return an address that may be registered, trimmed. Raises ``ValueError`` with what is wrong about any other."""
    email = validate_presented(text)
    # The package would take them for the marks of "Ada" <ada@example.com>, and say so.
    if marks := sorted(_MARKS & set(email)):
        raise ValueError(f"{_FORM} The email cannot hold {' '.join(marks)}")
    parse(email)
    return email


def validate_presented(text: str) -> str:
    """Return a text, trimmed, that some account may have been registered with, by whatever rules there were.

    Raises ``ValueError`` with what is wrong about any other.
    """
    email = text.strip()
    if not SHORTEST <= len(email) <= LONGEST:
        raise ValueError(f"The email must have {SHORTEST} to {LONGEST} characters.")
    # C: control, format, surrogate, unassigned. Z: spaces of all kinds.
    if any(unicodedata.category(character)[0] in "CZ" for character in email):
        raise ValueError("The email cannot hold spaces or control characters; remove them.")
    # What was not UTF-8 is read as this, so addresses that differ would be one.
    if _REPLACEMENT in email:
        raise ValueError("The email holds a broken character (U+FFFD); send it in UTF-8.")
    local, at, domain = email.partition("@")
    if not at or "@" in domain or not 1 <= len(local) <= LONGEST_LOCAL_PART:
        raise ValueError(_FORM)
    labels = domain.split(".")
    if len(labels) < 2 or not all(map(_is_label, labels)):
        raise ValueError(_FORM)
    return email


def is_plain(email: str) -> bool:
    """Whether small letters are all that the normal form of an address can change."""
    return email.isascii() and "xn--" not in email.lower()


def parse(email: str) -> Address:
    """Read an address by RFC 5321, 6531 and 5891 (IDNA 2008, after UTS 46). Raises ``ValueError`` as ``validate``."""
    # Not at the top: it is half of what a login would load, and most logins do without it.
    import email_validator

    # A list of the package's for its users to change; see above.
    email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()
    try:
        found = email_validator.validate_email(email, check_deliverability=False)
    except email_validator.EmailNotValidError as error:
        raise ValueError(f"{_FORM} {error}") from error
    as_typed, _, _ = email.partition("@")
    if max(len(local.encode()) for local in (as_typed, found.local_part)) > LONGEST_LOCAL_PART:
        raise ValueError(f"The email has more than {LONGEST_LOCAL_PART} bytes in UTF-8 before the @; shorten it.")
    return Address(unicodedata.normalize("NFC", found.local_part.lower()), found.domain, found.ascii_domain)


def _is_label(label: str) -> bool:
    """One part of a domain: letters with their marks and digits of any script, and hyphens inside."""
    if not 1 <= len(label) <= LONGEST_LABEL or label[0] == "-" or label[-1] == "-":
        return False
    return all(character == "-" or unicodedata.category(character)[0] in "LMN" for character in label)
