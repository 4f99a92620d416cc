"""What `make fuzz` found on the deployed platform, each once."""

import pytest

from tests.integration.client import Api, assert_problem


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
