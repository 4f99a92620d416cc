"""What each call of the API takes beside its floor, on a platform of its own: `make bench-calls`.

All calls take turns, one request of each at a time. Times are medians in milliseconds on whatever machine this is; the
ratios are what counts. ``--rounds`` says how many requests of each.
"""

import argparse
import os
from datetime import date
from typing import Any

from benchmarks import beside
from benchmarks.beside import Connection

SEGMENTS_OF_A_LONG_HISTORY = 8
LINES_OF_A_SEGMENT = 1250
MESSAGES_OF_A_LONG_SESSION = 400
PROMPT = "a lighthouse at dusk, seen from the sea, waves in the foreground, oil on canvas, warm light"


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--pause", type=float, default=0.2, help="seconds before each request")
    parser.add_argument("--only", default="", help="part of a row's name")
    options = parser.parse_args()
    with beside.platform() as running, beside.plain(running) as plain_url:
        floor, container, anybody = beside.no_op(running), Connection(plain_url), Connection(_local(running))
        ana, caller = beside.user(running)
        bob, other = beside.user(running)
        s3, bucket = running.aws("s3"), running.bucket("image")
        picture = {"prompt": PROMPT, "size": "64x64", "seed": 7}
        made = [caller.call("POST", "/image/generate", picture, 201) for _ in range(25)]
        provider = Connection(running.environment["PROVIDER"], beside.KEY)
        long_history(s3, bucket, bob.id)
        record = made[0]["s3"]["record"]
        new = caller.call("POST", "/chat/generate", {"prompt": PROMPT}, 201)["sessionId"]
        long = caller.call("POST", "/chat/sessions", {}, 201)["id"]
        long_session(s3, running.bucket("chat"), ana.id, long)
        model = Connection(running.environment["OPENAI_URL"])
        whole = caller.call("POST", "/chat/generate", {"prompt": PROMPT, "sessionId": long}, 201)["meta"]
        calls: dict[str, beside.Measured] = {
            "no-op": lambda: floor.call("GET", "/nothing"),
            "bare GET": lambda: s3.get_object(Bucket=bucket, Key=record)["Body"].read(),
            "healthz": lambda: anybody.call("GET", "/healthz"),
            "me": lambda: caller.call("GET", "/users/me"),
            "get": lambda: caller.call("GET", f"/image/{made[0]['id']}"),
            "list of 20 of 25": lambda: caller.call("GET", "/admin/images"),
            "list of 20 of 10,000": lambda: other.call("GET", "/admin/images"),
            "provider": lambda: provider.read("GET", "/x?width=64&height=64&seed=7"),
            "plain container": lambda: container.call("POST", "/image/generate", picture, 201),
            "generate": lambda: caller.call("POST", "/image/generate", picture, 201),
            "model": lambda: model.read("POST", "/chat/completions", said(1)),
            "model, long context": lambda: model.read("POST", "/chat/completions", said(whole["contextMessages"])),
            "chat, first message": lambda: caller.call("POST", "/chat/generate", {"prompt": PROMPT}, 201),
            "chat, short session": lambda: caller.call(
                "POST", "/chat/generate", {"prompt": PROMPT, "sessionId": new}, 201
            ),
            "chat, long session": lambda: caller.call(
                "POST", "/chat/generate", {"prompt": PROMPT, "sessionId": long}, 201
            ),
        }
        calls = {name: call for name, call in calls.items() if options.only in name}
        taken = beside.interleaved(calls, options.rounds, pause=options.pause)
    print_table(taken)


def print_table(taken: dict[str, float]) -> None:
    """The rows, each with its ratio to its floor."""

    def time_of(*names: str) -> float | None:
        return sum(taken[name] for name in names) if all(name in taken for name in names) else None

    without_provider = (taken.get("generate", 0) - taken.get("provider", 0)) or None
    floors = {
        "healthz": ("no-op", time_of("no-op")),
        "me": ("no-op", time_of("no-op")),
        "get": ("no-op and bare GET", time_of("no-op", "bare GET")),
        "list of 20 of 25": ("no-op and bare GET", time_of("no-op", "bare GET")),
        "list of 20 of 10,000": ("no-op and bare GET", time_of("no-op", "bare GET")),
        "generate": ("plain container", time_of("plain container")),
    } | dict.fromkeys(
        ("chat, first message", "chat, short session", "chat, long session"),
        ("generate, each without its provider", without_provider),
    )
    print(
        f"{os.cpu_count()} processors, {date.today():%Y-%m-%d}\n\n| call | ms | against | times |\n|---|---:|---|---:|"
    )
    for name, milliseconds in taken.items():
        against, floor = floors.get(name, ("", None))
        model = "model, long context" if "long" in name else "model"
        own = milliseconds - taken.get(model, 0) if name.startswith("chat") else milliseconds
        print(f"| {name} | {milliseconds:.1f} | {against} | {f'{own / floor:.2f}' if floor else ''} |")


def said(messages: int) -> dict[str, Any]:
    """What a provider of text is asked whose context has so many messages."""
    earlier = [
        {"role": ("user", "assistant")[number % 2], "content": f"{PROMPT} {number}"} for number in range(messages - 1)
    ]
    return {"model": "any", "stream": True, "messages": [*earlier, {"role": "user", "content": PROMPT}]}


def _local(running: Any) -> str:
    return f"http://127.0.0.1:{running.api_port}"


def long_history(s3: Any, bucket: str, user_id: str) -> None:
    """Let the user have 10,000 lines of one day, which are in several segments."""
    # Late: it is of the layers.
    from benchmarks.history_day import DAY, line

    from core import ids
    from generation import keys, records
    from image.service import SERVICE

    first, last = 1_795_305_600_000, ""
    for number in range(SEGMENTS_OF_A_LONG_HISTORY):
        start = number * LINES_OF_A_SEGMENT
        made = [ids.new(milliseconds=first + (start + each) * 700) for each in range(LINES_OF_A_SEGMENT)]
        # Blanks make each segment as large as a full one.
        content = b"".join(records.dumps(line(one)) + b"\n" for one in made)
        metadata = {"after": last} if number else {}
        key = keys.history_segment(SERVICE, user_id, DAY, number)
        s3.put_object(Bucket=bucket, Key=key, Body=content, Metadata=metadata)
        last = made[-1]


def long_session(s3: Any, bucket: str, user_id: str, session_id: str) -> None:
    """Let a session that has none yet have many messages."""
    from core import ids
    from generation import records

    earlier = [
        {"id": ids.new(), "role": ("user", "assistant")[number % 2], "content": f"{PROMPT} {number}"}
        | {"createdAt": "2026-11-26T12:00:00.000Z"}
        for number in range(MESSAGES_OF_A_LONG_SESSION)
    ]
    content = b"".join(records.dumps(message) + b"\n" for message in earlier)
    key = f"users/{user_id}/chat/sessions/{session_id}/messages/000000.jsonl"
    s3.put_object(Bucket=bucket, Key=key, Body=content)


if __name__ == "__main__":
    main()
