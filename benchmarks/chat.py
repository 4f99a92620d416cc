"""What a message of a chat takes beside a picture, each without its provider, and when a streamed answer's pieces come.

`make bench-chat`, on a platform of its own. Messages and pictures take turns; their providers are fakes that answer at
once, and what those take is measured by itself. The streamed answer is the offline model's.
"""

import argparse
import json
import time
from collections.abc import Iterator
from statistics import median
from typing import Any

from benchmarks import beside
from benchmarks.beside import Connection
from benchmarks.calls import PROMPT, long_session, said

QUESTION = "Write a long story about a lighthouse keeper, his dog and the sea."


def events(connection: Connection, body: Any) -> Iterator[str]:
    """The names of the events of a streamed answer, as they come."""
    with connection.opened("POST", "/chat/generate", body) as answer:
        while line := answer.readline():
            if line.startswith(b"event: "):
                yield line.split()[1].decode()


def streamed(connection: Connection, model: str) -> tuple[float, float]:
    """Seconds to the first piece of an answer and to its end."""
    start = time.perf_counter()
    first = 0.0
    for name in events(connection, {"prompt": QUESTION, "model": model, "maxTokens": 200, "stream": True}):
        if name == "delta" and not first:
            first = time.perf_counter() - start
    return first, time.perf_counter() - start


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--pause", type=float, default=0.3, help="seconds before each request")
    parser.add_argument("--streams", type=int, default=5)
    options = parser.parse_args()
    with beside.platform(CHAT_PROVIDERS="openai,offline") as running:
        ana, caller = beside.user(running)
        provider, model = (
            Connection(running.environment["PROVIDER"], beside.KEY),
            Connection(running.environment["OPENAI_URL"]),
        )
        picture = {"prompt": PROMPT, "size": "64x64", "seed": 7}

        def say(session_id: str | None = None) -> dict[str, Any]:
            about = {} if session_id is None else {"sessionId": session_id}
            made: dict[str, Any] = caller.call("POST", "/chat/generate", {"prompt": PROMPT, **about}, 201)
            return made

        short, long = say()["sessionId"], caller.call("POST", "/chat/sessions", {}, 201)["id"]
        long_session(running.aws("s3"), running.bucket("chat"), ana.id, long)
        whole = say(long)["meta"]["contextMessages"]
        taken = beside.interleaved(
            {
                "provider of pictures": lambda: provider.read("GET", "/x?width=64&height=64&seed=7"),
                "picture": lambda: caller.call("POST", "/image/generate", picture, 201),
                "model": lambda: model.read("POST", "/chat/completions", said(1)),
                "model, long context": lambda: model.read("POST", "/chat/completions", said(whole)),
                "first message of a session": say,
                "message of a short session": lambda: say(short),
                "message of a long session": lambda: say(long),
            },
            options.rounds,
            pause=options.pause,
        )
        offered = caller.call("GET", "/chat/models")["items"]
        offline = next(each["id"] for each in offered if each["provider"] == "offline")
        streams = [streamed(caller, offline) for _ in range(1 + options.streams)][1:]
    own = taken["picture"] - taken["provider of pictures"]
    print("| what | ms | times a picture, each without its provider |\n|---|---:|---:|")
    for name, milliseconds in taken.items():
        asked = taken["model, long context" if "long" in name else "model"]
        times = f"{(milliseconds - asked) / own:.2f}" if "message" in name else ""
        print(f"| {name} | {milliseconds:.1f} | {times} |")
    first, last = median(one for one, _ in streams), median(two for _, two in streams)
    share = median(one / two for one, two in streams)
    print(f"\nStreamed, offline model: first piece after {first:.2f} s, the last after {last:.2f} s: {share:.2f} of it")
    print(json.dumps({"streams": [[round(one, 2), round(two, 2)] for one, two in streams]}))


if __name__ == "__main__":
    main()
