"""What the platform's HTTP server sends, and when."""

import asyncio
from collections.abc import Callable

from localstack.web_server import _InOnePiece


class Wire(asyncio.Transport):
    """A transport that keeps what is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.told.append(bytes(data))

    def close(self) -> None:
        self.told.append(b"closed")

    def is_closing(self) -> bool:
        return b"closed" in self.told


def told(*turns: Callable[[_InOnePiece], None]) -> list[bytes]:
    """What leaves when these turns of the loop write."""

    async def main() -> list[bytes]:
        wire = Wire()
        transport = _InOnePiece(wire)
        for turn in turns:
            turn(transport)
            await asyncio.sleep(0)
        assert transport.is_closing() == wire.is_closing()
        return wire.told

    return asyncio.run(main())


def test_a_head_and_its_body_leave_in_one_piece() -> None:
    def answer(transport: _InOnePiece) -> None:
        transport.write(b"head")
        transport.write(b"body")

    assert told(answer) == [b"headbody"]


def test_a_piece_of_a_later_turn_leaves_by_itself() -> None:
    assert told(lambda wire: wire.write(b"one"), lambda wire: wire.write(b"two")) == [b"one", b"two"]


def test_what_was_written_leaves_before_the_connection_ends() -> None:
    def last(transport: _InOnePiece) -> None:
        transport.write(b"last")
        transport.close()

    assert told(last) == [b"last", b"closed"]
