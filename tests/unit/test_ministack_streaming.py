"""A streamed answer on its way from the function to a client that does not take it."""

import asyncio
from types import SimpleNamespace
from typing import ClassVar

import pytest
from localstack.ministack import streaming


def test_a_client_that_takes_nothing_holds_a_function_no_longer_than_its_time() -> None:
    async def main() -> None:
        stream = streaming._Stream()
        stream.allow(60)
        for _ in range(streaming.PIECES_AHEAD):
            stream.put(b"piece")
        stream.allow(0)

        with pytest.raises(TimeoutError, match=r"^Task timed out after 0\.00 seconds$"):
            stream.put(b"one more")

    asyncio.run(main())


def test_a_piece_that_the_client_takes_makes_room() -> None:
    taken: list[bytes] = []

    async def send(message: dict[str, bytes]) -> None:
        taken.append(message["body"])

    async def never() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        stream = streaming._Stream()
        stream.allow(60)
        for number in range(streaming.PIECES_AHEAD):
            stream.put(b"%d" % number)
        sending = asyncio.create_task(stream.send_on(send, never))
        while len(taken) < streaming.PIECES_AHEAD:
            await asyncio.sleep(0)
        stream.allow(0)
        stream.put(b"last")
        stream.end(is_whole=True)
        await sending

    asyncio.run(main())

    assert taken[-2:] == [b"last", b""]


def test_a_call_tells_its_stream_how_long_the_function_may_take() -> None:
    class Worker:
        config: ClassVar = {"Timeout": 7, "Runtime": "python3.11"}

        def _spawn(self) -> None: ...

        def invoke(self) -> dict[str, str]:
            return {"status": "ok"}

    streaming._hand_out_pieces(SimpleNamespace(Worker=Worker, _detect_runtime_binary=None))

    async def main() -> int:
        stream = streaming._Stream()
        streaming._stream.set(stream)
        Worker().invoke()
        return stream._seconds

    assert asyncio.run(main()) == 7
