"""What the functions of the stack are: an API's function, an authorizer, one that streams, one that starts slowly."""

import importlib.util
import linecache
import os
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import shared

LONGEST_SECONDS = 30.0


def wait_for(condition: Any, seconds: float = LONGEST_SECONDS) -> bool:
    """Whether the condition came true within the time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


# An environment that starts says so, and waits for the others that start at the same time.
TOGETHER = True
if "MEETING" in os.environ:
    meeting = Path(os.environ["MEETING"])
    (meeting / str(os.getpid())).touch()
    expected = int(os.environ["EXPECTED"])
    TOGETHER = wait_for(lambda: len(list(meeting.iterdir())) >= expected, float(os.environ["SECONDS"]))


LOADED = str(uuid.uuid4())
# More than a pipe holds.
NOISE = "noise\n" * 50_000
if "NOISY" in os.environ:
    print(NOISE)


def handler(event: dict[str, Any], _context: object) -> Any:
    """Do what `what` says, of the event itself or of the path."""
    if event.get("type") == "TOKEN":
        statement = {"Action": "execute-api:Invoke", "Effect": "Deny", "Resource": "*"}
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        return {"principalId": "somebody", "policyDocument": policy, "context": {"reason": "a word of the authorizer"}}
    parameters = event.get("pathParameters") or {}
    match event.get("what") or parameters.get("what"):
        case "see":
            return {
                "hypercorn": importlib.util.find_spec("hypercorn") is not None,
                "shared": shared.WHO,
                "linked": os.path.islink(os.path.dirname(os.path.abspath(__file__))),
                "together": TOGETHER,
                "nice": os.nice(0),
            }
        case "meet":
            meet(Path(event["folder"]), int(event["expected"]))
            return LOADED
        case "mutter":
            threading.Thread(target=mutter, args=(str(event["word"]),), daemon=True).start()
            return True
        case "wait":
            (Path(event["folder"]) / "started").touch()
            return wait_for((Path(event["folder"]) / "go").exists)
        case "chatter":
            print(NOISE + "the last word")
            return event["text"]
        case "shout":
            while True:
                print("more")
        case "die":
            print("the last word", flush=True)
            os._exit(1)
        case "raise":
            raise RuntimeError("a secret detail")
        case "slow":
            time.sleep(3)
            return {"statusCode": 200, "body": "slow"}
        case "empty":
            return {"statusCode": 204, "body": None}
        case "bytes":
            return {"statusCode": 200, "body": str(event["isBase64Encoded"])}
    return {"statusCode": 200, "body": " ".join(f"{name}={value}" for name, value in sorted(parameters.items()))}


def meet(folder: Path, expected: int) -> None:
    """Wait for so many other calls, each in an environment of its own."""
    (folder / str(os.getpid())).touch()
    if not wait_for(lambda: len(list(folder.iterdir())) >= expected):
        raise TimeoutError("the others do not come")


def mutter(word: str) -> None:
    """Log when the call is over: from when the worker waits for the next one until that one comes."""

    def waits() -> bool:
        frame = sys._current_frames()[threading.main_thread().ident or 0]
        return "stdin.readline" in linecache.getline(frame.f_code.co_filename, frame.f_lineno)

    if wait_for(waits):
        for _line in range(100):
            if not waits():
                return
            print(word, flush=True)
            time.sleep(0.001)


def stream(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer in pieces; the second one when the caller has seen the first."""
    query = event.get("queryStringParameters") or {}
    return {"statusCode": 200, "headers": {"Content-Type": "text/plain"}, "body": _pieces(query.get("folder"))}


def _pieces(folder: str | None) -> Iterator[str]:
    yield "first"
    yield "told" if folder is None or wait_for((Path(folder) / "go").exists) else "late"
