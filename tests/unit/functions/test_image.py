"""What is pictures' own: sizes and seeds. What all services share is in the contract suite."""

from typing import Any

import pytest

from image.service import SERVICE as IMAGE
from tests.unit.functions.answers import Answer
from tests.unit.functions.calls import KEY, Calls
from tests.unit.stand_ins import Painter, StandIn


def post(body: Any, **options: Any) -> Answer:
    return Calls(IMAGE, StandIn(IMAGE)).post(body, **options)


@pytest.mark.usefixtures("bucket")
def test_a_picture_is_asked_for_as_the_body_says(painter: Painter) -> None:
    made = post({"prompt": "  a fox\n", "size": "512x256", "seed": 7, "model": "turbo"}).json
    (asked,) = painter.asked
    assert (asked.prompt, asked.width, asked.height, asked.seed, asked.model) == ("a fox", 512, 256, 7, "turbo")
    assert (made["prompt"], made["meta"]["size"], made["meta"]["seed"]) == ("a fox", "512x256", 7)


@pytest.mark.usefixtures("bucket")
def test_what_is_not_said_is_square_by_flux_and_a_seed_that_is_told(painter: Painter) -> None:
    made = [post({"prompt": "a fox"}).json["meta"] for _ in range(5)]
    assert {meta["size"] for meta in made} == {"1024x1024"}
    assert [(asked.seed, asked.model) for asked in painter.asked] == [(meta["seed"], "flux") for meta in made]
    assert len({meta["seed"] for meta in made}) > 1


@pytest.mark.usefixtures("bucket", "answers_table")
def test_a_request_is_the_same_whatever_its_spelling_and_its_seed_is_drawn_once(painter: Painter) -> None:
    first = post({"prompt": "a fox"}, key=KEY)
    for same in (
        {"model": "flux", "size": "1024x1024", "seed": None, "prompt": "a fox"},
        {"prompt": "  a fox\n", "ignored": True},
    ):
        assert post(same, key=KEY).body == first.body
    for change in ({"size": "512x512"}, {"seed": 0}, {"model": "turbo"}):
        problem = post({"prompt": "a fox"} | change, key=KEY).problem(422)
        assert problem["type"] == "urn:llm-microservices:problem:idempotency-key-reused"
    assert len(painter.asked) == 1


WRONG: dict[str, list[Any]] = {
    "size": [
        None, 512, [], "", "0x0", "-1x5", "99999x99999", "512X512", " 512x512", "512x512 ", "512x512\n", "512",
        "512x", "x512", "512x512x512", "63x64", "64x63", "2049x64", "64x2049", "0512x0512", "５１２x５１２", "٥١٢x٥١٢",
        "512×512", "512.0x512", "1e3x512", "+512x512", "\ud800", "512x" + "9" * 5000,
    ],
    "seed": [True, 1.5, "1", -1, 2**31, 2**63, 10**4000, [], {}, "x"],
    "model": [None, 7, "", "../x", "a/b", "a b", "x\n", "-x", "x" * 65, "é", "\ud800", []],
}  # fmt: skip


@pytest.mark.parametrize("field", WRONG)
def test_a_wrong_field_is_named(painter: Painter, field: str) -> None:
    for value in WRONG[field]:
        assert post({"prompt": "a", field: value}).wrong_fields() == {field}, value
    assert painter.asked == []


def test_all_wrong_fields_are_named_at_once_and_a_size_is_told_the_form() -> None:
    answer = post({"size": "0x0", "seed": -1})
    assert answer.wrong_fields() == {"prompt", "size", "seed"}
    (told,) = [error["message"] for error in answer.json["errors"] if error["field"] == "size"]
    assert "1024x1024" in told


def test_no_number_is_too_much_to_be_named_as_wrong(painter: Painter) -> None:
    for seed in ("9" * 5000, "-" + "9" * 5000, "1e999", "1.5e-7", "9" * 5000 + ".5"):
        assert post(f'{{"prompt": "a", "seed": {seed}}}').wrong_fields() == {"seed"}
    for seed in ("NaN", "Infinity", "-Infinity"):
        post(f'{{"prompt": "a", "seed": {seed}}}').problem(400)
    assert painter.asked == []


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize(("size", "side"), [("64x64", 64), ("2048x2048", 2048)])
def test_the_smallest_and_the_largest_size_and_seed_are_accepted(painter: Painter, size: str, side: int) -> None:
    assert post({"prompt": "a", "size": size, "seed": 2**31 - 1}).status == 201
    assert post({"prompt": "a", "size": size, "seed": 7.0}).json["meta"]["seed"] == 7
    assert (painter.asked[0].width, painter.asked[0].height) == (side, side)


@pytest.mark.usefixtures("bucket")
def test_a_prompt_is_measured_without_the_white_space_at_its_ends(painter: Painter) -> None:
    assert post({"prompt": " " * 3000 + "a" * 2000 + "\n"}).status == 201
    assert painter.asked[0].prompt == "a" * 2000
    assert post({"prompt": " " + "a" * 2001}).wrong_fields() == {"prompt"}
