"""The queue between S3 and an index function, with what SQS allows itself: no order, and copies."""

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

MOST_RECEIVES = 5


@dataclass
class Message:
    """A message, how often it was received, and whether somebody works on it now."""

    message_id: str
    body: str
    receives: int = 0
    is_visible: bool = True


@dataclass
class RecordQueue:
    """Messages that wait, and those that were received too often."""

    chance: random.Random
    waiting: dict[str, Message] = field(default_factory=dict)
    dead: list[Message] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def send(self, body: str, *, copies: int = 1) -> None:
        """Put a message in; each copy is a message of its own."""
        for _copy in range(copies):
            message_id = f"message-{next(self._numbers)}"
            self.waiting[message_id] = Message(message_id, body)

    def receive(self, most: int) -> list[Message]:
        """Some messages, in any order."""
        visible = [message for message in self.waiting.values() if message.is_visible]
        batch = self.chance.sample(visible, min(most, len(visible)))
        for message in batch:
            message.receives += 1
            message.is_visible = False
        return batch

    def settle(self, batch: list[Message], failed: set[str]) -> None:
        """Remove what was done; let the rest be received again, or never again."""
        for message in batch:
            if message.message_id in failed and message.receives < MOST_RECEIVES:
                message.is_visible = True
            else:
                del self.waiting[message.message_id]
                self.dead += [message] if message.message_id in failed else []

    def redrive(self) -> None:
        """Move the dead letters back."""
        for message in self.dead:
            self.send(message.body)
        self.dead.clear()
