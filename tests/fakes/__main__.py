"""Serve the fakes until standard input ends or the process is told to stop: ``python -m tests.fakes``.

Prints one line of JSON when they are ready: ``{"pollinationsUrl", "pollinationsKeylessUrl",
"pollinationsKeylessTextUrl", "gttsUrl", "openaiUrl"}``.
"""

import argparse
import json
import signal
import sys

from tests.fakes.google import FakeGoogleTranslate
from tests.fakes.openai import FakeOpenAi
from tests.fakes.pollinations import FakePollinations


def main() -> None:
    """Run until told to stop."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fakes", description="Fake Pollinations, Google Translate and OpenAI."
    )
    parser.add_argument("--pollinations-port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--google-port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--openai-port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--key", action="append", help="a key that Pollinations accepts (default: good-key)")
    wanted = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    keys = frozenset(wanted.key or ["good-key"])
    with (
        FakePollinations(port=wanted.pollinations_port, keys=keys) as pollinations,
        FakeGoogleTranslate(port=wanted.google_port) as google,
        FakeOpenAi(port=wanted.openai_port) as openai,
    ):
        urls = {
            "pollinationsUrl": pollinations.supported_url,
            "pollinationsKeylessUrl": pollinations.keyless_url,
            "pollinationsKeylessTextUrl": pollinations.keyless_text_url,
            "gttsUrl": google.url,
            "openaiUrl": openai.base_url,
        }
        print(json.dumps(urls), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
