"""Settings of the local platform: ports, paths and stack parameters, from the environment, `.env`, or defaults."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from localstack import services, template
from localstack.console import CommandFailed

ROOT = Path(__file__).resolve().parent.parent

STACK_NAME = "llm-microservices"
REGION = "us-east-1"
ACCESS_KEY = "test"
SECRET_KEY = "test"  # noqa: S105  the emulator's documented root credentials; it listens on loopback only
ARTIFACT_BUCKET = "sam-artifacts-llm-microservices"
DATABASE_SECRET = "llm-microservices/database"  # noqa: S105  a name, not a secret

# Keys of providers, by the variable that has them: the launcher puts each into a secret of this name.
KEYS = {
    "OPENAI_KEY": ("OpenaiSecretArn", "llm-microservices/openai"),
    "POLLINATIONS_KEY": ("PollinationsSecretArn", "llm-microservices/pollinations"),
}

# Where the old platform had its services for images and for speech.
LEGACY_PORTS = "8000,8001"

# The last of a local chain, where a service has it: it needs no network.
OFFLINE = "offline"


def local_parameters() -> dict[str, str]:
    """What this machine's stack has where the template's default is for AWS.

    An environment variable wins over it: IMAGE_PROVIDERS for ImageProviders, and so for every parameter.
    """
    parameters = {
        "BucketSuffix": "none",
        # The quick start's password is a common one.
        "CommonPasswords": "allow",
        # No emulator knows them.
        "SavedQueries": "off",
        # On, to behave as on AWS; generous, since all callers of one machine have one address and tests are in a hurry.
        "RegisterRateLimit": "6000",
        "LoginRateLimit": "6000",
        "DefaultRateLimit": "60000",
    }
    for service in services.generating():
        chain = service.local_chain or (*service.chain, *({OFFLINE} & service.providers.keys() - set(service.chain)))
        parameters |= {
            f"{service.pascal}Providers": ",".join(chain),
            f"{service.pascal}RateLimit": "6000",
            f"{service.pascal}AnonymousRateLimit": "6000",
        }
    return parameters


@dataclass(frozen=True)
class Settings:
    """Where one platform lives and listens, and what its stack is deployed with."""

    home: Path
    api_port: int
    aws_port: int
    template: Path
    parameters: Mapping[str, str] = field(default_factory=dict)
    # By the parameter that has the secret's ARN.
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    # More ports of the API: those where the clients of the old services look for it.
    legacy_ports: tuple[int, ...] = ()

    @property
    def api_url(self) -> str:
        """Where clients find the API."""
        return f"http://localhost:{self.api_port}"

    @property
    def aws_url(self) -> str:
        """Where AWS clients find the emulator."""
        return f"http://localhost:{self.aws_port}"

    @property
    def state(self) -> Path:
        """What survives `make down`: the database, the emulator's state, S3's objects."""
        return self.home / "state"

    @property
    def logs(self) -> Path:
        """The folder of the log files."""
        return self.home / "logs"

    @property
    def run(self) -> Path:
        """What belongs to a running platform: lock, description, temporary files."""
        return self.home / "run"

    @property
    def server_log(self) -> Path:
        """The log of the platform's process."""
        return self.logs / "platform.log"


def architecture() -> str:
    """The template's name for this machine's processor."""
    return "arm64" if platform.machine().lower() in ("arm64", "aarch64") else "x86_64"


def python_runtime() -> str:
    """The Lambda runtime that matches the interpreter which runs the functions here."""
    return f"python{sys.version_info.major}.{sys.version_info.minor}"


def read_dotenv(path: Path) -> dict[str, str]:
    """`NAME=value` lines of a file; `#` starts a comment line, quotes around a value are dropped."""
    values: dict[str, str] = {}
    if not path.exists():
        return values
    for entry in path.read_text().splitlines():
        name, separator, value = entry.strip().removeprefix("export ").partition("=")
        if separator and not name.startswith("#"):
            values[name.strip()] = value.strip().strip("'\"")
    return values


def _port(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise CommandFailed("settings", f"{name} is {text!r}, not a port", f"set {name} to a number from 1 to 65535")
    return int(text)


def _legacy_ports(text: str, others: tuple[int, int]) -> tuple[int, ...]:
    """The ports of a list such as `8000,8001`, without those that the platform has for something else."""
    ports = [_port("LEGACY_PORTS", part.strip()) for part in text.split(",") if part.strip()]
    return tuple(port for port in dict.fromkeys(ports) if port not in others)


def declared(path: Path) -> list[str]:
    """The parameters of the template at `path`.

    Raises CommandFailed when it cannot be read.
    """
    try:
        return template.declared_parameters(path)
    except OSError as error:
        raise CommandFailed("settings", f"{path}: {error.strerror}", "set SAM_TEMPLATE to a SAM template") from error


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings; the environment wins over `.env`.

    Raises CommandFailed for a port that is not one, and when there is no template.
    """
    values = {**read_dotenv(ROOT / ".env"), **(os.environ if environ is None else environ)}
    api_port = _port("API_PORT", values.get("API_PORT", "").strip() or "3000")
    aws_port = _port("AWS_PORT", values.get("AWS_PORT", "").strip() or "4566")
    if api_port == aws_port:
        raise CommandFailed("settings", f"API_PORT and AWS_PORT are both {api_port}", "give them two different ports")
    path = Path(values.get("SAM_TEMPLATE") or ROOT / "template.yaml").resolve()
    # MiniStack runs functions with this machine's interpreter, whatever the template says.
    fixed = {"PythonRuntime": python_runtime(), "Architecture": architecture()}
    here = local_parameters()
    chosen = {name: values.get(template.variable_of(name)) or here.get(name) for name in declared(path)}
    keys = {parameter: values[name].strip() for name, (parameter, _) in KEYS.items() if values.get(name, "").strip()}
    return Settings(
        home=Path(values.get("LOCAL_DIR") or ROOT / ".local").resolve(),
        api_port=api_port,
        aws_port=aws_port,
        template=path,
        parameters={name: value for name, value in chosen.items() if value} | fixed,
        keys={name: key for name, key in keys.items() if name in chosen and not chosen[name]},
        legacy_ports=_legacy_ports(values.get("LEGACY_PORTS", LEGACY_PORTS), (api_port, aws_port)),
    )
