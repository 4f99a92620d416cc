"""What the accounts plane accepts as a body, and what it says about the rest."""

import json
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from accounts.requests import Login, LogoutRequest, PasswordChange, RefreshRequest, Registration

GOOD = {"email": "ada@example.com", "password": "password123"}
TOKEN = "A" * 64


def messages(model: type[BaseModel], body: Any) -> dict[str, str]:
    """The message about each field that is wrong."""
    with pytest.raises(ValidationError) as refused:
        model.model_validate(body)
    return {".".join(map(str, error["loc"])): error["msg"] for error in refused.value.errors()}


@pytest.mark.parametrize(
    "email",
    [
        "ada@example.com",
        "Ada.Lovelace+tag@Example.CO.UK",
        "o'hara_{x}@sub-domain.example.museum",
        "josé@bücher.example",
        "用户@例子.公司",
        "अदा@उदाहरण.भारत",
        "a@b.c",
        "a" * 64 + "@" + "d" * 63 + ".com",
        "é" * 32 + "@example.com",
        "x@exämple.com",
        "x@xn--exmple-cua.com",
        "x@printer.local",
        "straße@example.com",
    ],
)
def test_an_ordinary_email_is_accepted_as_it_was_typed(email):
    assert Registration.model_validate({**GOOD, "email": email}).email == email


@pytest.mark.parametrize("text", ["\ufffd", "pass\ufffdword"])
def test_a_character_that_was_lost_on_the_way_is_no_part_of_an_email_or_a_password(text):
    wrong = {"email": f"{text}@example.com", "password": f"{text} and more"}
    for model in (Registration, Login):
        assert all("U+FFFD" in message for message in messages(model, wrong).values())
        assert set(messages(model, wrong)) == {"email", "password"}
    change = {"currentPassword": f"{text} and more", "newPassword": f"{text} and yet more"}
    assert set(messages(PasswordChange, change)) == {"currentPassword", "newPassword"}


def test_an_email_is_trimmed():
    assert Login.model_validate({**GOOD, "email": " \tada@example.com\n"}).email == "ada@example.com"


@pytest.mark.parametrize(
    "email",
    [
        "",
        "   ",
        "ada",
        "@example.com",
        "ada@",
        "ada@example",
        "ada@@example.com",
        "ada@exa@mple.com",
        "ada lovelace@example.com",
        "ada@example..com",
        "ada@.example.com",
        "ada@example.com.",
        "ada@-example.com",
        "ada@example-.com",
        "ada@exam_ple.com",
        "ada@exam/ple.com",
        "ada\0@example.com",
        "ada\u202e@example.com",
        "ada\u00a0@example.com",
        "ada\ud800@example.com",
        "ada@example.com\nBcc: eve@example.com",
        "a" * 65 + "@example.com",
        "ada@" + "d" * 64 + ".com",
        "a@" + "d." * 125 + "com",
    ],
)
@pytest.mark.parametrize("model", [Registration, Login])
def test_a_broken_email_is_refused(model, email):
    assert "email" in messages(model, {**GOOD, "email": email})["email"]


@pytest.mark.parametrize(
    ("email", "why"),
    [
        (".x@example.com", "start with a period"),
        ("x.@example.com", "period"),
        ("x..y@example.com", "two periods"),
        ("a,b@example.com", "cannot hold ,"),
        ("<script>@example.com", "cannot hold < >"),
        ("Ada<ada@example.com", "cannot hold <"),
        ('"ada"@example.com', 'cannot hold "'),
        ("a(b)@example.com", "cannot hold ( )"),
        ("a\\b@example.com", "cannot hold \\"),
        ("ada@ab--cd.com", "dashes"),
        ("ada@example.123", "top-level domain"),
        ("ada@xn--0.com", "IDNA"),
        ("ada@" + "é" * 60 + ".com", "too long"),
        ("é" * 33 + "@example.com", "64 bytes"),
        ("e\u0301" * 30 + "@example.com", "64 bytes"),
        ("é" * 32 + "@" + ("é" * 40 + ".") * 4 + "com", "too long"),
    ],
)
def test_an_email_that_mail_does_not_know_is_refused_at_registration_only(email, why):
    """Whoever registered with one, when that was possible, logs in with it."""
    message = messages(Registration, {**GOOD, "email": email})["email"]
    assert why in message
    assert "email" in message
    assert Login.model_validate({**GOOD, "email": f" {email} "}).email == email


@pytest.mark.parametrize("text", ["\ufffd", "pass\ufffdword"])
def test_what_was_not_utf_8_is_refused(text):
    for model in (Registration, Login):
        assert messages(model, {"email": f"{text}@example.com", "password": f"{text}12345678"}) == {
            "email": "The email holds a broken character (U+FFFD); send it in UTF-8.",
            "password": "The password holds a broken character (U+FFFD); send it in UTF-8.",
        }
    change = {"currentPassword": f"{text}12345678", "newPassword": f"{text}87654321"}
    assert messages(PasswordChange, change).keys() == {"currentPassword", "newPassword"}


def test_messages_say_what_to_do():
    assert messages(Registration, {"email": "ada", "password": "short"}) == {
        "email": "Write the email as name@example.com.",
        "password": "Choose a password of at least 8 characters.",
    }


def test_missing_fields_are_named():
    assert messages(Registration, {}).keys() == {"email", "password"}
    assert messages(RefreshRequest, {"refresh_token": TOKEN}).keys() == {"refreshToken"}


@pytest.mark.parametrize("password", ["\ud800password", "eight\0chars", "x" * 73, "é" * 37, ""])
@pytest.mark.parametrize("model", [Registration, Login])
def test_a_password_that_bcrypt_cannot_take_is_refused(model, password):
    assert messages(model, {**GOOD, "password": password}).keys() == {"password"}


def test_a_short_password_is_refused_at_registration_only():
    assert Login.model_validate({**GOOD, "password": "x"}).password == "x"
    assert messages(Registration, {**GOOD, "password": "1234567"}).keys() == {"password"}


@pytest.mark.parametrize("value", [1, 1.5, True, None, ["ada@example.com"], {"a": 1}, b"bytes"])
def test_nothing_is_converted_to_text(value):
    assert messages(Registration, {"email": value, "password": value}).keys() == {"email", "password"}
    assert messages(RefreshRequest, {"refreshToken": value}).keys() == {"refreshToken"}


@pytest.mark.parametrize("value", ["true", 1, 0, None, "yes"])
def test_nothing_is_converted_to_a_boolean(value):
    assert messages(LogoutRequest, {"refreshToken": TOKEN, "everywhere": value}).keys() == {"everywhere"}


def test_logout_is_of_this_session_unless_told_otherwise():
    assert LogoutRequest.model_validate({"refreshToken": TOKEN}).everywhere is False
    assert LogoutRequest.model_validate({"refreshToken": TOKEN, "everywhere": True}).everywhere is True


def test_fields_of_older_clients_are_ignored():
    assert Registration.model_validate({**GOOD, "name": "Ada", "rememberMe": 1}).email == "ada@example.com"


@pytest.mark.parametrize("token", ["", "A" * 1025, "é", "\ud800"])
def test_a_refresh_token_that_no_answer_ever_held_is_refused(token):
    assert messages(RefreshRequest, {"refreshToken": token}).keys() == {"refreshToken"}


def test_a_refresh_token_that_is_merely_wrong_is_for_the_service():
    assert RefreshRequest.model_validate({"refreshToken": "garbage"}).refresh_token == "garbage"


def test_secrets_stay_out_of_the_representation_and_of_the_error():
    bodies = [
        Registration.model_validate({**GOOD, "password": "s3cret-s3cret"}),
        Login.model_validate({**GOOD, "password": "s3cret"}),
        RefreshRequest.model_validate({"refreshToken": "s3cret"}),
        LogoutRequest.model_validate({"refreshToken": "s3cret"}),
        PasswordChange.model_validate({"currentPassword": "s3cret", "newPassword": "s3cret-s3cret"}),
    ]
    assert "s3cret" not in repr(bodies)
    with pytest.raises(ValidationError) as refused:
        Registration.model_validate({**GOOD, "password": "s3cret"})
    assert "s3cret" not in str(refused.value)


def test_a_new_password_is_another_one():
    good = {"currentPassword": "password123", "newPassword": "password124"}
    assert PasswordChange.model_validate(good).new_password == "password124"
    wrong = messages(PasswordChange, {**good, "newPassword": "password123"})
    assert wrong == {"newPassword": "Choose another password than the current one."}


@pytest.mark.parametrize(("current", "new"), [("é" * 8, "e\u0301" * 8), ("a horse\u3000walks", "a horse walks")])
def test_a_new_password_is_not_another_form_of_the_current_one(current, new):
    assert messages(PasswordChange, {"currentPassword": current, "newPassword": new}).keys() == {"newPassword"}


def test_a_new_password_obeys_the_rules_of_registration_and_the_current_one_those_of_a_login():
    assert PasswordChange.model_validate({"currentPassword": "x", "newPassword": "12345678"}).current_password == "x"
    assert messages(PasswordChange, {"currentPassword": "", "newPassword": "1234567"}).keys() == {
        "currentPassword", "newPassword"
    }  # fmt: skip


@pytest.mark.parametrize("model", [Registration, Login, RefreshRequest, LogoutRequest, PasswordChange])
def test_the_schema_can_be_described(model):
    assert "properties" in json.dumps(model.model_json_schema())
