"""Requests with a body: the path's values, the body and the headers reach the route, and what it does reaches back."""

import json
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from core.bodies import loads
from core.errors import Conflict
from core.http import Api, Response
from tests import events


class Thing(BaseModel):
    """A body."""

    name: Annotated[str, Field(max_length=5)]


def asked(api: Api, method: str, resource: str, body: str, **more: Any) -> dict[str, Any]:
    answer = api(events.aws(method, resource, body=body, **more), events.Context())
    return {"status": answer["statusCode"], "body": json.loads(answer["body"]) if answer["body"] else None}


@pytest.fixture
def api() -> Api:
    """Two routes with a body, one of them with values in its path."""
    api = Api(max_body_bytes=100)

    @api.patch("/things/{id}/parts/{part}", operation_id="changePart")
    def change(thing_id: str, part: str, thing: Thing) -> dict[str, str]:
        return {"id": thing_id, "part": part, "name": thing.name}

    @api.post("/things", operation_id="makeThing", status_code=201)
    def make(thing: Thing) -> Response[None]:
        if thing.name == "taken":
            raise Conflict("There is one.")
        if thing.name == "bug":
            raise ZeroDivisionError
        return Response(201, headers={"Location": f"/things/{thing.name}"})

    return api


def test_the_values_of_the_path_come_first_whatever_they_hold(api: Api) -> None:
    parameters = {"id": "a b/c", "part": "é"}
    found = asked(api, "PATCH", "/things/{id}/parts/{part}", '{"name": "x"}', parameters=parameters)
    assert found == {"status": 200, "body": {"id": "a b/c", "part": "é", "name": "x"}}


def test_each_request_has_its_own_answer_and_its_own_error(api: Api) -> None:
    for name, status in (("taken", 409), ("x", 201), ("bug", 500), ("longer", 422), ("x", 201)):
        assert asked(api, "POST", "/things", json.dumps({"name": name}))["status"] == status


def test_what_is_wrong_is_named_without_the_word_body(api: Api) -> None:
    wrong = asked(api, "POST", "/things", "{}")
    assert wrong["body"]["errors"] == [{"field": "name", "message": "Field required"}]


@pytest.mark.parametrize(("body", "status"), [("{", 400), ("[]", 422), (" " * 101, 413), ('{"name": NaN}', 400)])
def test_what_is_no_object_in_json_or_too_long_is_told_by_the_status(api: Api, body: str, status: int) -> None:
    assert asked(api, "POST", "/things", body)["status"] == status


def test_a_route_has_the_methods_that_were_registered_and_no_other(api: Api) -> None:
    assert asked(api, "POST", "/things/{id}/parts/{part}", '{"name": "x"}')["status"] == 404
    assert asked(api, "PATCH", "/things", '{"name": "x"}')["status"] == 404


def test_json_is_read_as_the_standard_has_it() -> None:
    assert loads('\ufeff{"a": 1e3}') == {"a": 1000.0}
    assert loads("9" * 5000) > 10**4000
    for text in ("NaN", "[-Infinity]", "\ufeff\ufeff{}"):
        with pytest.raises(ValueError, match=r"JSON|Expecting|BOM"):
            loads(text)
