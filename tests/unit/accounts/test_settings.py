"""The accounts plane's environment variables."""

import pytest

from accounts.settings import AccountsSettings
from core.settings import SettingsError

ENVIRONMENT = {
    "DATABASE_SECRET_ARN": "arn:database",
    "SIGNING_SECRET_ARN": "arn:signing",
    "TOKEN_ISSUER": "https://issuer.test",
    "TOKEN_AUDIENCE": "audience",
}


def test_everything_comes_from_the_environment():
    assert AccountsSettings.from_env(
        {**ENVIRONMENT, "BCRYPT_ROUNDS": "13", "COMMON_PASSWORDS": "allow"}
    ) == AccountsSettings(
        database_secret_arn="arn:database",
        signing_secret_arn="arn:signing",
        bcrypt_rounds=13,
        token_issuer="https://issuer.test",
        token_audience="audience",
        refuse_common_passwords=False,
    )


def test_bcrypt_takes_12_rounds_unless_told_otherwise():
    assert AccountsSettings.from_env(ENVIRONMENT).bcrypt_rounds == 12


@pytest.mark.parametrize("rounds", ["9", "17", "twelve"])
def test_a_bcrypt_cost_out_of_bounds_is_refused(rounds):
    with pytest.raises(SettingsError, match="BCRYPT_ROUNDS"):
        AccountsSettings.from_env({**ENVIRONMENT, "BCRYPT_ROUNDS": rounds})


@pytest.mark.parametrize("name", ["DATABASE_SECRET_ARN", "TOKEN_ISSUER", "TOKEN_AUDIENCE"])
def test_a_missing_variable_is_named(name):
    with pytest.raises(SettingsError, match=name):
        AccountsSettings.from_env({**ENVIRONMENT, name: " "})


def test_a_function_that_signs_nothing_needs_no_signing_key():
    assert AccountsSettings.from_env({**ENVIRONMENT, "SIGNING_SECRET_ARN": ""}).signing_secret_arn is None


@pytest.mark.parametrize("variables", [{}, {"COMMON_PASSWORDS": ""}, {"COMMON_PASSWORDS": "refuse"}])
def test_common_passwords_are_refused_unless_they_are_allowed(variables):
    assert AccountsSettings.from_env({**ENVIRONMENT, **variables}).refuse_common_passwords is True


@pytest.mark.parametrize("choice", ["yes", "true", "Allow", "allowed"])
def test_another_word_about_common_passwords_is_refused(choice):
    with pytest.raises(SettingsError, match="COMMON_PASSWORDS"):
        AccountsSettings.from_env({**ENVIRONMENT, "COMMON_PASSWORDS": choice})
