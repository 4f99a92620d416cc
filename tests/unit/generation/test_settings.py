import pytest

from core.settings import SettingsError
from generation.settings import GenerationSettings


def test_the_bucket_is_all_that_must_be_set() -> None:
    settings = GenerationSettings.from_env({"BUCKET": "b"})
    assert settings == GenerationSettings(
        bucket="b",
        s3_public_endpoint=None,
        providers=("offline",),
        pollinations_secret_arn=None,
        pollinations_url="https://gen.pollinations.ai/image",
        pollinations_keyless_url="https://image.pollinations.ai/prompt",
        gtts_url="https://translate.google.com",
    )


def test_every_variable_of_the_template_is_read() -> None:
    settings = GenerationSettings.from_env(
        {
            "BUCKET": "b",
            "S3_PUBLIC_ENDPOINT": "http://localhost:4566",
            "PROVIDERS": "pollinations, offline",
            "POLLINATIONS_SECRET_ARN": "arn:x",
            "POLLINATIONS_URL": "http://a",
            "POLLINATIONS_KEYLESS_URL": "http://b",
            "GTTS_URL": "http://c",
        }
    )
    assert settings == GenerationSettings(
        "b", "http://localhost:4566", ("pollinations", "offline"), "arn:x", "http://a", "http://b", "http://c"
    )


def test_a_function_without_a_bucket_says_what_is_missing() -> None:
    with pytest.raises(SettingsError, match="BUCKET"):
        GenerationSettings.from_env({})
