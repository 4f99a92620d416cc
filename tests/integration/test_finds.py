"""What `make fuzz` found on the deployed platform, each once."""

from uuid import uuid4

import pytest

from tests.integration.client import Api, User, assert_problem


@pytest.mark.parametrize("service", ["image", "tts"])
def test_every_service_may_use_what_an_idempotency_key_needs(ana: User, service: str) -> None:
    headers = {"Idempotency-Key": str(uuid4())}
    first, again = (ana.post(f"/{service}/generate", {"prompt": "a fox"}, headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201), first.text
    assert again.json()["id"] == first.json()["id"]


@pytest.mark.parametrize("service", ["image", "tts"])
def test_a_redirect_says_nothing_of_json(api: Api, service: str) -> None:
    made = api.post(f"/{service}/generate", {"prompt": "a fox"}).json()
    answer = api.get(f"/{service}/{made['id']}/download?redirect=true")
    assert (answer.status_code, answer.content) == (302, b"")
    assert "json" not in answer.headers.get("Content-Type", "")


def test_a_number_without_a_fraction_is_an_integer_however_it_is_written(api: Api) -> None:
    answer = api.post("/image/generate", {"prompt": "a fox", "size": "64x64", "seed": 96552.0})
    assert answer.status_code == 201, answer.text
    assert answer.json()["meta"]["seed"] == 96552


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "HEAD"])
def test_the_gateway_hands_on_a_method_that_a_path_does_not_have(api: Api, method: str) -> None:
    answer = api.call(method, "/auth/refresh")
    assert answer.status_code == 405
    assert {name.strip() for name in answer.headers["Allow"].split(",")} == {"OPTIONS", "POST"}


@pytest.mark.parametrize("path", ["/healthz?deep=null&deep=null", "/healthz?deep=true&deep=false"])
def test_a_flag_that_is_sent_twice_is_422(api: Api, path: str) -> None:
    assert_problem(api.get(path), 422)
