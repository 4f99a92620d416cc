import pytest

from core import settings
from core.settings import Setting, SettingsError


def test_a_missing_variable_is_named() -> None:
    with pytest.raises(SettingsError, match="BUCKET is not set"):
        settings.text({"BUCKET": "  "}, "BUCKET")


def test_a_default_stands_in_for_an_empty_variable() -> None:
    assert settings.text({"NAME": ""}, "NAME", "default") == "default"


@pytest.mark.parametrize("value", ["ten", "9", "17", "1e1", "0x0c"])
def test_a_number_out_of_bounds_is_refused_without_showing_it(value: str) -> None:
    with pytest.raises(SettingsError, match="BCRYPT_ROUNDS") as caught:
        settings.integer({"BCRYPT_ROUNDS": value}, "BCRYPT_ROUNDS", 12, least=10, most=16)
    assert value not in str(caught.value).replace("10..16", "")


def test_a_number_within_bounds_is_read() -> None:
    assert settings.integer({"N": " 10 "}, "N", 12, least=10, most=16) == 10
    assert settings.integer({}, "N", 12, least=10, most=16) == 12


def test_a_list_is_split_and_trimmed() -> None:
    assert settings.names({"P": " a, b ,"}, "P", "x") == ("a", "b")


def test_a_list_of_nothing_is_refused() -> None:
    with pytest.raises(SettingsError, match="P lists nothing"):
        settings.names({"P": ","}, "P", "x")


def test_a_setting_is_one_word_for_a_parameter_and_its_variable() -> None:
    host = Setting("GttsUrl", "Where speech is asked for.", "https://example.com")
    assert host.variable == "GTTS_URL"
    assert Setting("PollinationsSecretArn", "").variable == "POLLINATIONS_SECRET_ARN"
    assert host.read({}) == host.read({"GTTS_URL": "  "}) == "https://example.com"
    assert host.read({"GTTS_URL": " http://here "}) == "http://here"
    assert Setting("OpenaiUrl", "").read({}) == ""
