import pytest

from core.settings import SettingsError
from generation.settings import GenerationSettings


def test_the_bucket_is_all_that_must_be_set() -> None:
    settings = GenerationSettings.from_env({"BUCKET": "b"})
    assert settings == GenerationSettings(
        bucket="b",
        s3_public_endpoint=None,
        providers=("offline",),
    )


def test_every_variable_of_the_template_is_read() -> None:
    settings = GenerationSettings.from_env(
        {
            "BUCKET": "b",
            "S3_PUBLIC_ENDPOINT": "http://localhost:4566",
            "PROVIDERS": "pollinations, offline",
        }
    )
    assert settings == GenerationSettings("b", "http://localhost:4566", ("pollinations", "offline"))


def test_a_function_without_a_bucket_says_what_is_missing() -> None:
    with pytest.raises(SettingsError, match="BUCKET"):
        GenerationSettings.from_env({})
