"""Passwords: what may be chosen, and the work that checking one takes."""

from typing import Any

import bcrypt
import pytest

from accounts import common_passwords, passwords
from accounts.passwords import Match

ROUNDS = 6


@pytest.fixture
def work(monkeypatch) -> list[int]:
    """The work of each bcrypt computation, as 2 to the power of its cost."""
    done: list[int] = []

    def recorded(compute: Any) -> Any:
        def record(password: bytes, salt_or_hash: bytes) -> Any:
            done.append(2 ** int(salt_or_hash[4:6]))
            return compute(password, salt_or_hash)

        return record

    monkeypatch.setattr(bcrypt, "hashpw", recorded(bcrypt.hashpw))
    monkeypatch.setattr(bcrypt, "checkpw", recorded(bcrypt.checkpw))
    return done


@pytest.mark.parametrize(
    "password", ["password123", "8 bytes!", "é" * 36, "x" * 72, "🔑" * 8, "مرحبا بكم", "  spaces  "]
)
def test_a_password_of_8_characters_to_72_bytes_may_be_chosen(password):
    assert passwords.validate(password) == password


@pytest.mark.parametrize(
    ("password", "advice"),
    [
        ("", "at least 8"),
        ("short77", "at least 8"),
        ("x" * 73, "at most 72 bytes"),
        ("é" * 37, "at most 72 bytes in UTF-8, this one has 74"),
        ("eight\0chars", "NUL"),
        ("\ud800password", "surrogate"),
    ],
)
def test_any_other_is_refused_with_advice(password, advice):
    with pytest.raises(ValueError, match=advice):
        passwords.validate(password)


def test_a_short_password_may_be_presented_but_an_empty_one_not():
    assert passwords.validate_presented("x") == "x"
    with pytest.raises(ValueError, match="Enter the password"):
        passwords.validate_presented("")


@pytest.mark.parametrize("password", ["password123", "é" * 36, "x" * 72])
def test_a_password_matches_its_own_hash_only(password):
    stored = passwords.hash_password(password, 4)
    assert passwords.verify(password, stored, 4)
    assert not passwords.verify(password[:-1] + "!", stored, 4)


def test_two_hashes_of_one_password_differ():
    assert passwords.hash_password("password123", 4) != passwords.hash_password("password123", 4)


def test_nobody_has_no_password(work):
    assert not passwords.verify("password123", None, ROUNDS)


@pytest.mark.parametrize("cost", [4, 5, 6])
def test_a_wrong_password_costs_the_same_as_an_unknown_user_whatever_the_hash_cost(work, cost):
    stored = passwords.hash_password("password123", cost)
    work.clear()
    assert not passwords.verify("another-password", stored, ROUNDS)
    assert sum(work) == 2**ROUNDS
    work.clear()
    passwords.verify("another-password", None, ROUNDS)
    assert sum(work) == 2**ROUNDS


def test_a_hash_that_costs_more_than_asked_is_checked_as_it_is(work):
    stored = passwords.hash_password("password123", ROUNDS)
    work.clear()
    assert not passwords.verify("another-password", stored, 4)
    assert work == [2**ROUNDS]


def test_a_cheap_hash_needs_a_new_one():
    stored = passwords.hash_password("password123", 4)
    assert passwords.needs_rehash(stored, Match.CURRENT, 5)
    assert not passwords.needs_rehash(stored, Match.CURRENT, 4)


# ---------------------------------------------------------------- forms of one password (RFC 8265)

COMPOSED = "caf\u00e9 noir 1"
DECOMPOSED = "cafe\u0301 noir 1"


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        (DECOMPOSED, COMPOSED),
        ("\u212bngstr\u00f6m", "\u00c5ngstr\u00f6m"),
        ("a\u00a0b\u3000c\u2009d", "a b c d"),
        # OpaqueString maps neither case nor width.
        ("PassWord \uff41", "PassWord \uff41"),
        ("\ufb01 \u00df", "\ufb01 \u00df"),
        ("tab\tstays", "tab\tstays"),
    ],
)
def test_the_normal_form_is_that_of_opaque_string(text, normal):
    assert passwords.normal_form(text) == normal


@pytest.mark.parametrize(
    ("chosen", "typed"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED), ("a b c d e", "a b\u00a0c d\u3000e")]
)
def test_the_forms_of_a_password_are_one(chosen, typed):
    stored = passwords.hash_password(chosen, 4)
    assert passwords.verify(typed, stored, 4) is Match.CURRENT
    assert passwords.verify(chosen, stored, 4) is Match.CURRENT


def test_a_hash_of_what_was_typed_is_known_and_needs_a_new_one():
    stored = bcrypt.hashpw(DECOMPOSED.encode(), bcrypt.gensalt(4)).decode()
    match = passwords.verify(DECOMPOSED, stored, 4)
    assert match is Match.FORMER
    assert passwords.needs_rehash(stored, match, 4)
    assert passwords.verify(passwords.normal_form(DECOMPOSED), stored, 4) is None


@pytest.mark.parametrize("cost", [4, 5, 6])
def test_a_wrong_password_of_two_forms_costs_the_same_as_an_unknown_user(work, cost):
    stored = passwords.hash_password("password123", cost)
    for known in (stored, None):
        work.clear()
        assert passwords.verify(DECOMPOSED, known, ROUNDS) is None
        assert sum(work) == 2 * 2**ROUNDS


def test_the_limits_are_those_of_the_normal_form():
    # 108 bytes as typed, 72 composed.
    assert passwords.validate("e\u0301" * 36)
    assert passwords.validate("\u3000" * 71 + "x")
    with pytest.raises(ValueError, match="has 74"):
        passwords.validate("e\u0301" * 37)
    with pytest.raises(ValueError, match="at least 8"):
        passwords.validate("e\u0301" * 7)
    # Each is two characters of three bytes in NFC.
    with pytest.raises(ValueError, match="has 78"):
        passwords.validate("\u0958" * 13)


def test_a_hash_of_a_text_whose_normal_form_is_too_long_stays_good():
    text = "\u0958" * 13
    stored = bcrypt.hashpw(text.encode(), bcrypt.gensalt(4)).decode()
    assert passwords.validate_presented(text) == text
    match = passwords.verify(text, stored, 4)
    assert match is not None
    assert not passwords.needs_rehash(stored, match, 4)
    assert passwords.verify(text, passwords.hash_password(text, 4), 4)


@pytest.mark.parametrize("control", ["\t", "\n", "\x1b", "\x7f", "\x85"])
def test_a_control_character_may_be_presented_and_not_chosen(control):
    """RFC 8264's FreeformClass has none; who has one in a password keeps it."""
    text = f"eight{control}chars"
    with pytest.raises(ValueError, match="control characters"):
        passwords.validate(text)
    assert passwords.validate_presented(text) == text


def test_emoji_of_joined_characters_may_be_chosen():
    assert passwords.validate("\U0001f469\u200d\U0001f680 to the moon")


# ---------------------------------------------------------------- common ones


@pytest.mark.parametrize(
    "password",
    [
        "password",
        "password123",
        "12345678",
        "qwertyuiop",
        "PASSWORD123",
        "PassWord123",
        "ｐａｓｓｗｏｒｄ",
        "paßword",
        "ﬁrebird",
    ],
)
def test_a_common_password_is_known_in_any_case_and_form(password):
    assert common_passwords.is_common(password)


@pytest.mark.parametrize(
    "password", ["correct horse battery", "", "#", "password124x", " password", "密码密码密码密码"]
)
def test_any_other_password_is_not_common(password):
    assert not common_passwords.is_common(password)


def test_the_list_has_3000_passwords_that_could_be_chosen():
    listed = common_passwords._listed()
    assert len(listed) == 3000
    for password in listed:
        assert passwords.validate(password) == password


def test_the_list_is_read_when_it_is_first_asked_for():
    common_passwords._listed.cache_clear()
    assert common_passwords._listed.cache_info().currsize == 0
    common_passwords.is_common("x")
    common_passwords.is_common("y")
    assert common_passwords._listed.cache_info().misses == 1
