"""The platform under load, and with parts of it or of the world down."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.client import Api, Platform, User, assert_problem, eventually

SMALL = {"prompt": "a cat", "size": "64x64"}


def test_fifty_generations_at_once_are_fifty_records_and_fifty_lines(platform: Platform, ana: User) -> None:
    def generate(number: int) -> str:
        answer = Api(ana.url, ana.token).post("/image/generate", SMALL | {"prompt": f"cat {number}"})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    with ThreadPoolExecutor(50) as pool:
        ids = list(pool.map(generate, range(50)))
    assert len(set(ids)) == 50
    records = [key for key in platform.keys("image", "requests/") if key.endswith("record.json")]
    assert set(ids) <= {key.split("/")[-2] for key in records}
    eventually(lambda: len(platform.lines("image", ana.id)) >= 50)
    assert Counter(line["id"] for line in platform.lines("image", ana.id)) == Counter(ids)


@pytest.mark.parametrize("trouble", ["[[status:402]]", "[[status:530]]", "[[status:503]]", "[[html]]", "[[truncate]]", "[[huge]]",
                                     "[[reset]]", "[[json]]"])  # fmt: skip
def test_an_image_provider_in_trouble_is_replaced(api: Api, trouble: str) -> None:
    made = api.post("/image/generate", SMALL | {"prompt": f"a cat {trouble}"}).json()
    assert made["meta"]["provider"] == "offline"
    assert made["meta"]["fallbackFrom"] == "pollinations"
    assert made["meta"]["fallbackReason"]


@pytest.mark.parametrize("trouble", ["[[status:429]]", "[[html]]", "[[reset]]"])
def test_a_speech_provider_in_trouble_is_replaced(api: Api, trouble: str) -> None:
    made = api.post("/tts/generate", {"prompt": f"hello {trouble}"}).json()
    assert (made["meta"]["provider"], made["meta"]["fallbackFrom"]) == ("offline", "gtts")


def test_a_prompt_that_the_provider_refuses_is_refused_and_nothing_is_stored(platform: Platform, api: Api) -> None:
    before = platform.keys("image", "requests/")
    problem = assert_problem(api.post("/image/generate", SMALL | {"prompt": "a cat [[status:400]]"}), 422)
    assert problem["type"].endswith("prompt-refused")
    assert platform.keys("image", "requests/") == before


def test_real_answers_of_the_providers_are_passed_on(api: Api) -> None:
    image = api.post("/image/generate", SMALL | {"prompt": "a cat [[jpeg]]"}).json()["meta"]
    assert (image["provider"], image["contentType"]) == ("pollinations", "image/jpeg")
    speech = api.post("/tts/generate", {"prompt": "hello " * 100, "model": "gtts-slow"}).json()["meta"]
    assert (speech["provider"], speech["model"]) == ("gtts", "gtts-slow")
    assert speech["durationSeconds"] > 0


def test_a_poisoned_message_does_not_stop_the_index(platform: Platform, ana: User) -> None:
    sqs = platform.aws("sqs")
    (queue,) = (url for url in sqs.list_queues()["QueueUrls"] if "ImageRecordQueue" in url)
    sqs.send_message(QueueUrl=queue, MessageBody="not JSON")
    made = ana.post("/image/generate", SMALL).json()
    assert eventually(lambda: [line["id"] for line in platform.lines("image", ana.id)] == [made["id"]])
