"""Clients of AWS are made without what a cold start need not pay for."""

import gc
from unittest import mock

import pytest
from botocore.exceptions import DataNotFoundError
from botocore.loaders import Loader

from core import aws
from tests.unit.stand_ins import environment_caches_cleared


@pytest.fixture(autouse=True)
def _region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")


def test_a_client_does_not_look_for_all_services_first() -> None:
    with (
        environment_caches_cleared(aws._session),
        mock.patch.object(Loader, "list_available_services", side_effect=AssertionError("all services are listed")),
    ):
        assert aws.client("dynamodb").meta.endpoint_url == "https://dynamodb.eu-west-1.amazonaws.com"
        with pytest.raises(DataNotFoundError):
            aws.client("no-such-service")


def test_a_client_names_the_project_and_makes_up_no_text_about_the_machine() -> None:
    assert aws.client("dynamodb").meta.config.user_agent.startswith("llm-microservices")


def test_loading_is_not_interrupted_to_look_for_garbage_and_garbage_is_still_collected() -> None:
    assert gc.isenabled()
    assert gc.get_threshold()[0] >= 100_000
