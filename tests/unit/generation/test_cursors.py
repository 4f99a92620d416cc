import base64

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

from core.errors import ServiceUnavailable, Unprocessable
from generation import cursors
from generation.cursors import CursorSigner, Position
from tests.unit.generation.samples import IDENTIFIERS, SIGNER, identifier
from tests.unit.stand_ins import environment_caches_cleared

HISTORY = "users/ana/image/history/"
POSITION = Position(identifier(), 3, (5, 7))
CURSOR = SIGNER.sign(POSITION, HISTORY)

POSITIONS = st.builds(
    Position, IDENTIFIERS, st.integers(0, 9999), st.lists(st.integers(0, 9999), max_size=9).map(tuple)
)


@given(POSITIONS, st.text(alphabet="abc/0-", max_size=20))
def test_a_position_comes_back(position: Position, history: str) -> None:
    assert SIGNER.verify(SIGNER.sign(position, history), history) == position


def test_a_cursor_is_short_and_safe_in_a_url() -> None:
    assert len(CURSOR) < 60
    assert CURSOR.replace("-", "").replace("_", "").isalnum()


def refused(cursor: str, *, signer: CursorSigner = SIGNER, history: str = HISTORY) -> None:
    with pytest.raises(Unprocessable) as caught:
        signer.verify(cursor, history)
    assert [error.field for error in caught.value.errors] == ["cursor"]


@pytest.mark.parametrize("history", ["users/ben/image/history/", "users/ana/tts/history/", "", HISTORY + "\0"])
def test_a_cursor_of_another_history_is_refused(history: str) -> None:
    refused(CURSOR, history=history)


def test_a_cursor_that_was_signed_with_another_key_is_refused() -> None:
    refused(CURSOR, signer=CursorSigner(b"another key"))


@given(st.integers(0, 45), st.integers(1, 255))
def test_a_cursor_of_which_anything_was_changed_is_refused(place: int, change: int) -> None:
    signed = bytearray(base64.urlsafe_b64decode(CURSOR + "=" * (-len(CURSOR) % 4)))
    signed[place % len(signed)] ^= change
    refused(base64.urlsafe_b64encode(signed).decode().rstrip("="))


@pytest.mark.parametrize("length", range(len(CURSOR)))
def test_a_cursor_that_was_cut_is_refused(length: int) -> None:
    refused(CURSOR[:length])


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "", "x", "====", "null", "0", "é" * 22, "\0", " ", "\ud800", "+" * 22, "A" * 22, "A" * 10_240, "A" * 10_241,
        CURSOR * 200, CURSOR + "A", CURSOR + "\n", CURSOR + " ", " " + CURSOR, CURSOR.swapcase(), identifier(),
        encoded(b"\xff" * 16), encoded(b"x" * 15), encoded(b"x" * 17), encoded(b"x" * 34),
    ],
)  # fmt: skip
def test_a_text_that_is_no_cursor_is_refused(cursor: str) -> None:
    refused(cursor)


@settings(max_examples=300, derandomize=True)
@given(st.text(max_size=60) | st.binary(max_size=60).map(encoded))
def test_no_text_breaks_a_cursor(text: str) -> None:
    refused(text)


def test_the_key_is_a_secret_that_is_read_at_the_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    with mock_aws(), environment_caches_cleared(cursors.signer):
        arn = boto3.client("secretsmanager").create_secret(Name="cursors", SecretString="a key")["ARN"]
        monkeypatch.setenv("CURSOR_SECRET_ARN", arn)
        assert cursors.signer().verify(CURSOR, HISTORY) == POSITION
        assert cursors.signer() is cursors.signer()


def test_without_its_key_a_list_is_unavailable_and_the_next_call_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with mock_aws(), environment_caches_cleared(cursors.signer):
        monkeypatch.setenv("CURSOR_SECRET_ARN", "cursors")
        with pytest.raises(ServiceUnavailable):
            cursors.signer().sign(POSITION, HISTORY)
        boto3.client("secretsmanager").create_secret(Name="cursors", SecretString="a key")
        assert cursors.signer().sign(POSITION, HISTORY) == CURSOR
