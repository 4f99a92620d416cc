"""The model itself, in its shared process: answers, turns, ends, and what happens when somebody dies."""

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from generation.providers import Deadline, ProviderError, ProviderTimeout
from generation.texts import Message, TextRequest
from model import connection, server
from model.chat import OfflineChat
from model.connection import Connection

# Each worker is a process of its own, as the functions are.
WORKER = """
import sys
from pathlib import Path
from generation.providers import Deadline
from generation.texts import Message, TextRequest
from model.chat import OfflineChat
from model.connection import Connection
words, tokens = sys.argv[2], int(sys.argv[3])
stream = OfflineChat(Connection(Path(sys.argv[1]))).stream(
    TextRequest((Message("user", words),), max_tokens=tokens), Deadline(120))
for piece in stream:
    print(piece.replace("\\n", " "), end="|", flush=True)
"""
LONG = 1500


def ask(content: str, *, max_tokens: int | None = 4) -> TextRequest:
    return TextRequest((Message("user", content),), max_tokens=max_tokens)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = Deadline(60)
    while not condition():
        assert deadline.remaining(), "it never came about"
        time.sleep(0.02)


def server_of(folder: Path) -> psutil.Process:
    return psutil.Process(int((folder / "pid").read_text()))


def servers(folder: Path) -> list[psutil.Process]:
    """Every process that serves this folder, also one that is just starting."""
    return [
        process
        for process in psutil.process_iter(["cmdline", "ppid"])
        if server.__name__ in (process.info["cmdline"] or []) and str(folder) in process.info["cmdline"]
    ]


def worker(folder: Path, content: str, max_tokens: int = 4) -> "subprocess.Popen[bytes]":
    paths = os.pathsep.join(path for path in sys.path if path)
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(folder), content, str(max_tokens)],
        env=os.environ | {"PYTHONPATH": paths},
        stdout=subprocess.PIPE,
    )


def new_folder() -> Path:
    # Not pytest's folder: a socket's path is short.
    return Path(tempfile.mkdtemp(prefix="model-", dir="/tmp"))


def end(folder: Path) -> None:
    for process in servers(folder):
        process.kill()
        process.wait(30)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    made = new_folder()
    yield made
    end(made)


@pytest.fixture
def own_folder() -> Iterator[Path]:
    made = new_folder()
    yield made
    end(made)


@pytest.fixture
def provider(folder: Path) -> OfflineChat:
    return OfflineChat(Connection(folder))


def test_the_weights_are_those_that_were_looked_at() -> None:
    with server.model_file().open("rb") as weights:
        assert hashlib.file_digest(weights, "sha256").hexdigest() == connection.MODEL_SHA256


def test_an_answer_comes_in_pieces_with_its_usage_and_the_models_real_name(provider: OfflineChat) -> None:
    stream = provider.stream(ask("Say hello.", max_tokens=200), Deadline(120))
    pieces = list(stream)
    assert "ello" in "".join(pieces)
    assert len(pieces) > 3
    assert all(pieces)
    assert stream.usage is not None
    assert stream.usage.input_tokens > 7
    assert stream.usage.output_tokens >= len(pieces)
    assert not stream.usage.estimated
    assert (provider.name, stream.model, stream.finish_reason) == ("offline", "SmolLM2-135M-Instruct", "stop")
    assert provider.models[0].upstream == stream.model


def test_an_answer_that_reaches_its_limit_says_so(provider: OfflineChat) -> None:
    stream = provider.stream(ask("Count from one to one hundred.", max_tokens=3), Deadline(120))
    assert "".join(stream)
    assert stream.finish_reason == "length"
    assert stream.usage is not None
    assert stream.usage.output_tokens == 3


def test_the_same_question_gets_the_same_answer(provider: OfflineChat) -> None:
    first, second = ("".join(provider.stream(ask("Name a fruit.", max_tokens=8), Deadline(120))) for _ in range(2))
    assert first == second


def test_the_roles_of_a_conversation_reach_the_model(provider: OfflineChat) -> None:
    example = (Message("user", "Say the word."), Message("assistant", "Xylophone"))
    messages = (Message("system", "You say the word."), *example * 3, Message("user", "Say the word."))
    stream = provider.stream(TextRequest(messages, max_tokens=6), Deadline(120))
    assert "Xylophone" in "".join(stream)


def test_half_a_surrogate_pair_is_only_a_character(provider: OfflineChat) -> None:
    assert "".join(provider.stream(ask("\ud83d?"), Deadline(120)))


def test_messages_that_do_not_fit_are_refused_before_the_model_is_asked(provider: OfflineChat) -> None:
    with pytest.raises(ProviderError, match=r"have 3\d\d\d tokens, the context 2048"):
        provider.stream(ask("word " * 3000), Deadline(120))


def test_a_stream_that_is_closed_gives_its_turn_to_the_next(provider: OfflineChat) -> None:
    stream = provider.stream(ask("Write a long story.", max_tokens=LONG), Deadline(120))
    next(stream)
    stream.close()
    stream.close()
    # If the first answer went on, it would take many times as long as this one.
    assert "".join(provider.stream(ask("Hello"), Deadline(20)))


def test_who_waits_for_a_turn_waits_until_the_deadline(provider: OfflineChat) -> None:
    stream = provider.stream(ask("Write a long story.", max_tokens=LONG), Deadline(120))
    next(stream)
    with pytest.raises(ProviderTimeout):
        provider.stream(ask("Hello"), Deadline(0.5))
    stream.close()


def test_an_answer_ends_at_the_deadline(provider: OfflineChat) -> None:
    stream = provider.stream(ask("Write a long story.", max_tokens=LONG), Deadline(3))
    with pytest.raises(ProviderTimeout):
        list(stream)
    with pytest.raises(ProviderTimeout):
        provider.stream(ask("Hello"), Deadline(0))


def test_ten_workers_at_once_have_one_server_that_serves_them_all(own_folder: Path) -> None:
    workers = [worker(own_folder, "Hello") for _ in range(10)]
    seen: set[int] = set()

    def all_ended() -> bool:
        # Its parent as it was found: a process may be gone by the time that it is asked.
        own = {each.pid for each in workers}
        seen.update(process.pid for process in servers(own_folder) if process.info["ppid"] not in own)
        return all(each.poll() is not None for each in workers)

    wait_until(all_ended)
    for each in workers:
        output, _ = each.communicate()
        assert each.returncode == 0
        assert output.count(b"|") >= 2
    assert len(seen) == 1
    assert server_of(own_folder).memory_info().rss < 400_000_000


def test_a_worker_killed_in_the_middle_leaves_the_server_free(own_folder: Path) -> None:
    provider = OfflineChat(Connection(own_folder))
    victim = worker(own_folder, "Write a long story.", LONG)
    assert victim.stdout is not None
    assert victim.stdout.read(1)
    before = server_of(own_folder).pid
    victim.kill()
    victim.communicate()
    assert "".join(provider.stream(ask("Hello"), Deadline(20)))
    assert server_of(own_folder).pid == before


def test_a_killed_server_breaks_its_stream_and_is_started_anew_by_the_next_call(own_folder: Path) -> None:
    provider = OfflineChat(Connection(own_folder))
    stream = provider.stream(ask("Write a long story.", max_tokens=LONG), Deadline(120))
    next(stream)
    first = server_of(own_folder)
    first.send_signal(signal.SIGKILL)
    with pytest.raises(ProviderError, match="server ended"):
        list(stream)
    assert "".join(provider.stream(ask("Hello"), Deadline(60)))
    assert server_of(own_folder).pid != first.pid


def test_a_server_that_nobody_asks_ends(own_folder: Path) -> None:
    provider = OfflineChat(Connection(own_folder, idle_seconds=1.0))
    assert "".join(provider.stream(ask("Hello"), Deadline(60)))
    wait_until(lambda: not servers(own_folder))
    assert "".join(provider.stream(ask("Hello"), Deadline(60)))


def test_a_worker_holds_the_server_as_long_as_it_lives(own_folder: Path) -> None:
    connection_of_worker = Connection(own_folder)
    with (own_folder / "users").open("r+") as users:
        with pytest.raises(BlockingIOError):
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        del connection_of_worker
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_server_ends_soon_after_its_last_worker(own_folder: Path) -> None:
    only = worker(own_folder, "Hello")
    only.communicate()
    assert only.returncode == 0
    wait_until(lambda: not servers(own_folder))


def test_the_server_has_neither_the_workers_secrets_nor_an_open_door(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of this worker's role")
    provider = OfflineChat(Connection(own_folder))
    assert "".join(provider.stream(ask("Hello"), Deadline(60)))
    running = server_of(own_folder)
    assert "AWS_SECRET_ACCESS_KEY" not in running.environ()
    assert [each for each in running.net_connections("inet") if each.status == psutil.CONN_LISTEN] == []
    assert (own_folder / "server.sock").stat().st_mode & 0o077 == 0
    assert "Hello" not in (own_folder / "server.log").read_text()


def test_a_server_that_cannot_start_is_an_error_and_not_a_wait(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "__name__", "json.nothing")
    with pytest.raises(ProviderError, match="does not start"):
        OfflineChat(Connection(own_folder)).stream(ask("Hello"), Deadline(60))


def test_a_server_that_dies_while_it_starts_is_an_error(own_folder: Path) -> None:
    (own_folder / "server.log").mkdir()
    with pytest.raises(ProviderError, match="does not start"):
        OfflineChat(Connection(own_folder)).stream(ask("Hello"), Deadline(60))


@pytest.mark.parametrize("lay", ["link", "open"])
def test_a_folder_that_somebody_else_could_write_to_is_not_used(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch, lay: str
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(own_folder))
    base = connection.private_folder().parent
    if lay == "link":
        (own_folder / "elsewhere").mkdir(mode=0o700)
        base.symlink_to(own_folder / "elsewhere")
    else:
        base.mkdir()
        base.chmod(0o777)
    with pytest.raises(ProviderError, match="not private"):
        Connection()


def test_the_folder_of_a_user_is_private(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(own_folder))
    Connection()
    made = connection.private_folder()
    assert [path.stat().st_mode & 0o777 for path in (made.parent, made)] == [0o700, 0o700]


class Scripted:
    """A connection whose answers to chats are given."""

    def __init__(self, status: int, lines: list[bytes]) -> None:
        self.status, self.lines = status, lines

    def touch(self) -> None:
        pass

    def post(self, path: str, _body: object, _deadline: Deadline) -> "Scripted":
        return Scripted(200, [b'{"input_tokens": 5}']) if path.endswith("input_tokens") else self

    def read(self) -> bytes:
        return b"".join(self.lines)

    def line(self) -> bytes:
        return self.lines.pop(0) if self.lines else b""

    def close(self) -> None:
        pass


def test_what_the_server_says_in_the_middle_of_a_stream_is_an_error() -> None:
    for line, reason in (
        (b'data: {"error": {"message": "x"}}\n', "failed"),
        (b'error: {"message": "x"}\n', "failed"),
        (b"", "ended"),
    ):
        first = b'data: {"choices": [{"finish_reason": null, "delta": {"content": "a"}}]}\r\n'
        provider = OfflineChat(Scripted(200, [b": ping\n", b"\n", first, line]))  # type: ignore[arg-type]
        stream = provider.stream(ask("x"), Deadline(10))
        assert next(stream) == "a"
        with pytest.raises(ProviderError, match=reason):
            next(stream)


def test_a_status_of_the_server_is_an_error() -> None:
    provider = OfflineChat(Scripted(500, []))  # type: ignore[arg-type]
    with pytest.raises(ProviderError, match="status 500"):
        provider.stream(ask("x"), Deadline(10))


@pytest.mark.parametrize(
    "text",
    [
        "The lighthouse keeper walked along the shore, thinking of ships.",
        "El farero caminaba por la orilla, pensando en los barcos que habían pasado.",
        "灯塔守望者沿着海岸走，想着以前来过的船只和风暴。",
        "등대지기는 해안을 걸으며 배와 폭풍을 생각했다.",
        "Смотритель маяка шёл по берегу и думал о кораблях.",
        "1234567890 " * 4,
        "🗼🚢🌊",
    ],
)
def test_tokens_are_rather_counted_too_many_than_too_few(provider: OfflineChat, text: str) -> None:
    of_form = tokens(provider, "a") - 1
    real = tokens(provider, text * 5) - of_form
    assert real <= provider.count_tokens(text * 5) < 3 * real


def tokens(provider: OfflineChat, text: str) -> int:
    """What the model's own process counts, with what the form of a conversation takes."""
    body = {"messages": [{"role": "user", "content": text}]}
    answer = provider._connection.post("/v1/chat/completions/input_tokens", body, Deadline(60))
    count: int = json.loads(answer.read())["input_tokens"]
    return count


def test_a_deep_temporary_folder_does_not_make_the_sockets_address_too_long(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shallow, deep = Path("/x"), tmp_path / ("d" * 60) / ("e" * 60)
    for folder, expected in ((shallow, shallow), (deep, Path("/tmp"))):  # noqa: S108
        monkeypatch.setattr(connection.tempfile, "gettempdir", lambda folder=folder: str(folder))
        found = connection.private_folder()
        assert found.is_relative_to(expected)
        assert len(str(found / connection.SOCKET)) < 104
