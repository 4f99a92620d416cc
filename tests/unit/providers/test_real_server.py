"""Text by a real server of OpenAI's shape: llama.cpp's, on a port of the loopback, with the offline model's weights."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests.integration.client import free_ports

from generation.http_client import HttpClient
from generation.openai import OpenAi
from generation.providers import Deadline, ProviderError
from generation.texts import Message, Model, TextRequest
from model.server import model_file

KEY = "a-key-of-its-own"
# Serves until its standard input ends.
SERVER = """
import sys
import xllamacpp
parameters = xllamacpp.CommonParams()
parameters.model.path = sys.argv[1]
parameters.model_alias = {"SmolLM2"}
parameters.n_ctx = 512
parameters.n_parallel = 1
parameters.cpuparams.n_threads = 1
parameters.cpuparams_batch.n_threads = 1
parameters.cache_ram_mib = 0
parameters.hostnames = ["127.0.0.1"]
parameters.port = int(sys.argv[2])
parameters.api_keys = [sys.argv[3]]
parameters.ui = False
parameters.verbosity = 1
server = xllamacpp.Server(parameters)
print("ready", flush=True)
sys.stdin.read()
import os
os._exit(0)
"""


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    (port,) = free_ports(1)
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, str(model_file()), str(port), KEY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert any(line == "ready\n" for line in process.stdout)
        yield f"http://127.0.0.1:{port}/v1"


@pytest.fixture
def provider(base_url: str, http: HttpClient) -> OpenAi:
    return OpenAi((Model("small", 512, "SmolLM2"),), base_url, lambda: KEY, http=http)


def asked(text: str, max_tokens: int) -> TextRequest:
    """A request whose answer is the same each time: a sampled one may end at any token."""
    return TextRequest((Message("user", text),), max_tokens=max_tokens, temperature=0.0, seed=7)


def test_it_streams_an_answer_with_its_usage(provider: OpenAi) -> None:
    stream = provider.stream(asked("Say hello.", 40), Deadline(120))
    pieces = list(stream)
    assert len(pieces) > 3
    assert "ello" in "".join(pieces)
    assert stream.usage is not None
    assert stream.usage.input_tokens > 7
    assert stream.usage.output_tokens >= len(pieces)
    assert (stream.model, stream.finish_reason) == ("SmolLM2", "stop")


def test_an_answer_that_reaches_its_limit_says_so(provider: OpenAi) -> None:
    stream = provider.stream(asked("Count to one hundred.", 3), Deadline(120))
    assert list(stream)
    assert stream.finish_reason == "length"
    assert stream.usage is not None
    assert stream.usage.output_tokens == 3


def test_one_that_is_given_up_leaves_the_server_to_the_next(provider: OpenAi) -> None:
    stream = provider.stream(asked("Write a long story.", 400), Deadline(120))
    next(stream)
    stream.close()
    assert list(provider.stream(asked("Hello", 3), Deadline(120)))


def test_messages_that_do_not_fit_may_fit_elsewhere(provider: OpenAi) -> None:
    with pytest.raises(ProviderError, match=r"^status 400, exceed_context_size_error$"):
        provider.stream(asked("word " * 1000, 3), Deadline(120))
