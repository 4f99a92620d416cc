"""MiniStack's state is on disk while it runs. MiniStack 1.5 writes it only when it is stopped in order."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Large and changed only by a deployment (function code) or of little worth after a crash (logs).
WITH_EVERYTHING_ONLY = frozenset({"lambda", "cloudwatch_logs"})

# On a busy platform a copy of its state takes some.
COPIES_TRIED = 20


def copied(get_state: Callable[[], Any]) -> Any:
    """A copy of a service's state, which MiniStack's threads may change while MiniStack copies it: then another one.

    Raises RuntimeError when they did so every time.
    """
    for _ in range(COPIES_TRIED - 1):
        try:
            return get_state()
        except RuntimeError:  # a dictionary changed its size
            continue
    return get_state()


class Saver:
    """Writes what changed since the last time, in MiniStack's own format (`core.persistence`)."""

    def __init__(self, app: Any, persistence: Any) -> None:
        self._app = app
        self._persistence = persistence
        self._saved: dict[str, str] = {}
        self._saving = asyncio.Lock()

    async def save(self, *, everything: bool = True) -> None:
        """Write the state that changed to disk."""
        async with self._saving:
            for name, get_state in self._app._build_persistence_save_dict().items():
                if name in WITH_EVERYTHING_ONLY and not everything:
                    continue
                state = copied(get_state)
                if state is not None:
                    await asyncio.to_thread(self._write, name, state)

    def _write(self, name: str, state: Any) -> None:
        """Write one service's file when its content has changed."""
        persistence = self._persistence
        document = {"__ministack_format__": persistence._state_format_version(name), "payload": state}
        content = json.dumps(document, default=persistence._json_default).encode()
        digest = hashlib.sha256(content).hexdigest()
        if self._saved.get(name) == digest:
            return
        path = Path(persistence.STATE_DIR) / f"{name}.json"
        temporary = path.with_suffix(".saving")
        temporary.write_bytes(content)
        temporary.replace(path)
        self._saved[name] = digest
