"""What `make sam-local` gives to SAM, read by SAM's own code; and that nothing of it leads to a real AWS account."""

import contextlib
import ipaddress
import json
import os
import socket
import stat
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from localstack import settings, stack
from localstack.console import CommandFailed
from localstack.sam_local import command, derive, engine, forward, isolation
from samcli.commands.local.lib.local_lambda import LocalLambdaRunner  # type: ignore[import-untyped]
from samcli.lib.providers.api_provider import ApiProvider  # type: ignore[import-untyped]
from samcli.lib.providers.provider import LayerVersion  # type: ignore[import-untyped]
from samcli.lib.providers.sam_function_provider import SamFunctionProvider  # type: ignore[import-untyped]
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider  # type: ignore[import-untyped]
from samcli.local.layers.layer_downloader import LayerDownloader  # type: ignore[import-untyped]

from tests.integration.on_sam_local import apart
from tests.unit.functions.template import template

ENDPOINT = "http://172.17.0.1:4711"
ADDRESSES = derive.Addresses(
    endpoint=ENDPOINT,
    public_s3="http://localhost:4710",
    database_secret="arn:aws:secretsmanager:us-east-1:000000000000:secret:for-containers",
    forwarded=lambda port: f"172.17.0.1:{port + 1}",
)
BUILT: dict[str, Any] = json.loads(json.dumps(template()))
FUNCTIONS = {
    name: each["Properties"] for name, each in BUILT["Resources"].items() if each["Type"].endswith(":Function")
}
CONTENTS = {
    name: each["Properties"]["ContentUri"]
    for name, each in BUILT["Resources"].items()
    if each["Type"].endswith(":LayerVersion")
}
METHODS = {"get", "head", "post", "put", "patch", "delete"}

# Every service that some function may call, and who a caller is.
SERVICES = ("bedrock-runtime", "dynamodb", "polly", "s3", "secretsmanager", "sqs", "ssm", "sts")
PROBE = f"""
import json
from botocore.session import get_session
session = get_session()
keys = session.get_credentials()
print(json.dumps({{
    "credentials": [keys.access_key, keys.secret_key, keys.token],
    "endpoints": sorted({{session.create_client(name).meta.endpoint_url for name in {SERVICES}}}),
}}))
"""

# Where the clients go with which the functions read and write, at the first name that is looked up and no further.
DIRECT = """
import sys
from contextlib import suppress
from core import aws, direct

class Told(Exception):
    pass

def tell(event, arguments):
    if event.startswith("socket.") and event != "socket.__new__":
        print(event, *map(str, arguments[:2]))
        raise Told

options = {"connect_timeout": 1, "read_timeout": 1, "retries": {"total_max_attempts": 1}}
s3, dynamodb = (aws.client(name, **options) for name in ("s3", "dynamodb"))
assert isinstance(s3, direct.S3) and isinstance(dynamodb, direct.DynamoDB)
sys.addaudithook(tell)
with suppress(Told):
    s3.get_object(Bucket="bucket", Key="key")
with suppress(Told):
    dynamodb.get_item(TableName="table", Key={})
"""


def deployed() -> derive.Deployed:
    """A stack's answers: what the template says, and stand-ins for what only a stack knows."""
    shared = BUILT["Globals"]["Function"]["Environment"]["Variables"]
    own = {
        name: {
            key: value if isinstance(value, str) else f"the stack's {key}"
            for key, value in (shared | each.get("Environment", {}).get("Variables", {})).items()
        }
        for name, each in FUNCTIONS.items()
    }
    return derive.Deployed({"PythonRuntime": "python3.12", "Architecture": "x86_64", "BucketSuffix": "none"}, own)


@dataclass(frozen=True)
class Sam:
    """SAM's view of the files."""

    files: derive.Files
    functions: Any
    api: Any

    def environments(self) -> dict[str, dict[str, str]]:
        """What each function's container would get."""
        runner = LocalLambdaRunner(
            None, self.functions, str(self.files.folder), str(self.files.folder),
            env_vars_values=json.loads(self.files.variables.read_text()),
        )  # fmt: skip
        return {each.name: runner.get_invoke_config(each).env_vars.resolve() for each in self.functions.get_all()}


LAYERS = {name: f"arn:aws:lambda:us-east-1:000000000000:layer:{name}-of-a-content:1" for name in CONTENTS}


def derived(own: derive.Variables, code: Path = Path("functions")) -> Any:
    """The template for the stack."""
    return derive.template(BUILT, code, LAYERS, deployed().parameters, own)


def written(folder: Path) -> derive.Files:
    """The files for the stack."""
    own = derive.variables(deployed(), ADDRESSES)
    files = derive.Files(folder)
    files.write(derived(own, folder / "functions"), own)
    return files


@pytest.fixture(scope="module")
def sam(tmp_path_factory: pytest.TempPathFactory) -> Sam:
    """SAM with the derived template; no engine is asked."""
    files = written(tmp_path_factory.mktemp("sam-local"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        with warnings.catch_warnings():
            # SAM's command line calls what its own library has declared old.
            warnings.simplefilter("ignore", DeprecationWarning)
            stacks, _problems = SamLocalStackProvider.get_stacks(str(files.template))
            return Sam(files, SamFunctionProvider(stacks), ApiProvider(stacks))


def routes(sam: Sam) -> dict[tuple[str, str], tuple[str, str | None]]:
    """Function and authorizer of each path and method."""
    return {
        (route.path, method.lower()): (route.function_name, route.authorizer_name)
        for route in sam.api.api.routes
        for method in route.methods
        if method != "OPTIONS"
    }


def test_each_route_reaches_its_function_by_its_authorizer(sam: Sam) -> None:
    events = {
        (event["Properties"]["Path"], event["Properties"]["Method"]): (
            name,
            event["Properties"].get("Auth", {}).get("Authorizer"),
        )
        for name, each in FUNCTIONS.items()
        for event in each.get("Events", {}).values()
        if event["Type"] == "Api"
    }
    assert len(events) > 40
    assert {route: target for route, target in routes(sam).items() if target[0] != "MethodFunction"} == events


def test_each_method_that_a_path_lacks_is_refused_by_the_function_for_it(sam: Sam) -> None:
    served = routes(sam)
    assert {method for _path, method in served} == METHODS
    assert set(served) == {(path, method) for path, _method in served for method in METHODS}
    refused = {route for route, (function, _authorizer) in served.items() if function == "MethodFunction"}
    assert refused == {
        (path, method)
        for path, methods in BUILT["Resources"]["Api"]["Properties"]["DefinitionBody"]["paths"].items()
        for method in methods
    }


def test_each_function_has_its_layers_its_code_and_the_stacks_runtime(sam: Sam) -> None:
    for each in sam.functions.get_all():
        declared = [LAYERS[layer["Ref"]] for layer in FUNCTIONS[each.name].get("Layers", [])]
        assert [layer.arn for layer in each.layers] == declared
        assert Path(each.codeuri) == sam.files.folder / "functions"
        assert (each.runtime, each.architecture) == ("python3.12", "x86_64")


def test_sam_has_the_layers_that_were_built_without_asking_aws(tmp_path: Path) -> None:
    build, own = tmp_path / "build", derive.variables(deployed(), ADDRESSES)
    for name, folder in CONTENTS.items():
        (build / folder).mkdir(parents=True)
        (build / folder / "name").write_text(name)
    layers = derive.layers(BUILT, build, tmp_path / "layers")
    layers.place()
    layers.place()  # as a second start does
    stack = {"Resources": derive.template(BUILT, tmp_path, layers.arns, {}, own)["Resources"]}
    downloader = LayerDownloader(str(tmp_path / "layers"), str(tmp_path), [], lambda_client=object())
    for name, arn in layers.arns.items():
        layer = downloader.download(LayerVersion(arn, None))
        assert (Path(layer.codeuri) / "name").read_text() == name
        # SAM makes an image anew of what it takes for the template's own.
        assert not layer.is_defined_within_template
    used = {arn for each in FUNCTIONS for arn in stack["Resources"][each]["Properties"].get("Layers", [])}
    assert used == set(layers.arns.values())


def test_sam_looks_for_layers_where_they_were_put(tmp_path: Path) -> None:
    files = derive.Files(tmp_path)
    words = command.sam_command(files, engine.desktop(None), 3001)
    assert words[words.index("--layer-cache-basedir") + 1] == str(files.layers)


def test_a_layer_with_another_content_is_another_to_sam(tmp_path: Path) -> None:
    for folder in CONTENTS.values():
        (tmp_path / folder).mkdir(parents=True)
    before = derive.layers(BUILT, tmp_path, tmp_path)
    assert derive.layers(BUILT, tmp_path, tmp_path) == before
    (tmp_path / CONTENTS["CoreLayer"] / "core.py").write_text("")
    after = derive.layers(BUILT, tmp_path, tmp_path)
    assert {name for name, arn in after.arns.items() if before.arns[name] != arn} == {"CoreLayer"}


def test_containers_get_the_stacks_values_and_addresses_that_they_reach(sam: Sam) -> None:
    environments = sam.environments()
    assert environments.keys() == FUNCTIONS.keys()
    assert environments["AuthorizerFunction"]["JWKS"] == "the stack's JWKS"
    assert environments["LoginFunction"]["DATABASE_SECRET_ARN"] == ADDRESSES.database_secret
    assert environments["ImageDownloadFunction"]["S3_PUBLIC_ENDPOINT"] == ADDRESSES.public_s3


def test_what_serves_on_this_machines_loopback_is_forwarded_and_the_internet_is_left_alone() -> None:
    own = {
        "OPENAI_URL": "http://localhost:11434/v1",
        "GTTS_URL": "http://127.0.0.1:8080",
        "POLLINATIONS_URL": "https://localhost.example.com:1/x",
    }
    found = derive.variables(derive.Deployed({}, {"F": own}), ADDRESSES)["F"]
    assert found["OPENAI_URL"] == "http://172.17.0.1:11435/v1"
    assert found["GTTS_URL"] == "http://172.17.0.1:8081"
    assert found["POLLINATIONS_URL"] == own["POLLINATIONS_URL"]


# ---------------------------------------------------------------- no call leaves the machine

KEYS = {"AWS_ACCESS_KEY_ID": "AKIAREAL", "AWS_SECRET_ACCESS_KEY": "real", "AWS_SESSION_TOKEN": "real-token"}
ELSEWHERE = {
    "AWS_ENDPOINT_URL": "https://proxy.example.com",
    "AWS_ENDPOINT_URL_S3": "https://s3.eu-west-1.amazonaws.com",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
}
PERSONS: dict[str, dict[str, str]] = {
    "keys in the shell": KEYS | {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1"},
    "keys and endpoints in the shell": KEYS | ELSEWHERE,
    "a profile": {"AWS_PROFILE": "production"},
    "the default profile": {},
}


@pytest.fixture(params=PERSONS.values(), ids=PERSONS)
def person(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Somebody with credentials of a real account, all over the shell and the home folder; the latter."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    secret = "aws_access_key_id = AKIAREAL\naws_secret_access_key = real\naws_session_token = real-token\n"
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text(f"[default]\n{secret}[production]\n{secret}")
    (tmp_path / ".aws" / "config").write_text(
        "[default]\nregion = eu-west-1\n[profile production]\nregion = eu-west-1\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in request.param.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def test_sam_would_hand_the_persons_credentials_to_a_function_that_declares_none(person: Path, sam: Sam) -> None:
    """Why all this is needed, and that the persons here are such ones."""
    runner = LocalLambdaRunner(None, sam.functions, str(person), str(person), env_vars_values={})
    assert runner.get_aws_creds()["key"] == "AKIAREAL"


def test_no_function_gets_another_endpoint_or_other_credentials_than_the_emulators(person: Path, sam: Sam) -> None:
    environments = sam.environments()
    assert environments.keys() == FUNCTIONS.keys()
    for name, environment in environments.items():
        assert environment["AWS_ENDPOINT_URL"] == ENDPOINT, name
        assert environment["AWS_ACCESS_KEY_ID"] == environment["AWS_SECRET_ACCESS_KEY"] == "test", name
        assert environment["AWS_SESSION_TOKEN"] == "", name
        assert "AKIAREAL" not in str(environment), name
        assert "eu-west-1" not in str(environment), name
        assert not {"AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ENDPOINT_URL_S3"} & environment.keys(), name

    # What the SDK makes of it, beside the files of somebody's account. Functions have the same variables of AWS but for
    # their names, sizes and logs.
    named = ("AWS_LAMBDA_", "AWS_SAM_", "AWS_ACCOUNT_")
    of_aws = {
        tuple(
            sorted((key, value) for key, value in each.items() if key.startswith("AWS_") and not key.startswith(named))
        )
        for each in environments.values()
    }
    (variables,) = of_aws
    done = subprocess.run(
        [sys.executable, "-c", PROBE], env={**dict(variables), "HOME": str(person)}, capture_output=True, check=True
    )
    assert json.loads(done.stdout) == {"credentials": ["test", "test", None], "endpoints": [ENDPOINT]}


def test_what_functions_ask_without_botocore_is_asked_at_the_emulator_only(person: Path, sam: Sam) -> None:
    """S3 and DynamoDB, as in the containers, where Lambda's emulator says how they were started."""
    of_containers = {"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand", "HTTP_PROXY": "http://proxy.example.com:3128"}
    environment = sam.environments()["ImageGenerateFunction"] | of_containers
    done = subprocess.run(
        [sys.executable, "-c", DIRECT], capture_output=True, text=True, check=True,
        env=environment | {"HOME": str(person), "PYTHONPATH": str(settings.ROOT / "layers/core")},
    )  # fmt: skip
    assert done.stdout.splitlines() == ["socket.getaddrinfo 172.17.0.1 4711"] * 2


def test_sam_itself_gets_nothing_of_the_persons_account(person: Path) -> None:
    known = settings.load({"SAM_TEMPLATE": str(settings.ROOT / "template.yaml"), "AWS_PORT": "4710"})
    environment = stack.command_environment(known)
    done = subprocess.run([sys.executable, "-c", PROBE], env=environment, capture_output=True, check=True)
    found = json.loads(done.stdout)
    assert found == {"credentials": ["test", "test", None], "endpoints": ["http://localhost:4710"]}
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"} & environment.keys()


Change = Callable[[dict[str, Any]], object]
CHANGES: dict[str, Change] = {
    "no endpoint": lambda own: own.pop("AWS_ENDPOINT_URL"),
    "another endpoint": lambda own: own.update(AWS_ENDPOINT_URL="https://s3.amazonaws.com"),
    "no credentials": lambda own: own.pop("AWS_ACCESS_KEY_ID"),
    "other credentials": lambda own: own.update(AWS_SECRET_ACCESS_KEY="real"),
    "a token": lambda own: own.update(AWS_SESSION_TOKEN="real-token"),
    "a profile": lambda own: own.update(AWS_PROFILE="production"),
    "an endpoint of one service": lambda own: own.update(AWS_ENDPOINT_URL_S3="https://s3.amazonaws.com"),
    "a role": lambda own: own.update(AWS_WEB_IDENTITY_TOKEN_FILE="/token"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("where", ["template", "overrides"])
def test_the_command_refuses_a_function_that_is_not_kept_here(change: Change, where: str) -> None:
    own = derive.variables(deployed(), ADDRESSES)
    template = derived(own)
    isolation.require(template, own, ENDPOINT)
    if where == "template":
        change(template["Resources"]["LoginFunction"]["Properties"]["Environment"]["Variables"])
    else:
        change(own["LoginFunction"])
    with pytest.raises(CommandFailed, match="LoginFunction would not be kept on this machine: AWS_"):
        isolation.require(template, own, ENDPOINT)


def test_the_command_reads_what_it_wrote_before_it_starts(tmp_path: Path) -> None:
    files = written(tmp_path)
    files.require_isolation(ENDPOINT)
    text = files.template.read_text()
    files.template.write_text(text.replace("AWS_ENDPOINT_URL:", "ANOTHER_URL:", 1))
    with pytest.raises(CommandFailed, match="AWS_ENDPOINT_URL"):
        files.require_isolation(ENDPOINT)


def test_only_the_owner_reads_the_files(sam: Sam) -> None:
    for path in (sam.files.template, sam.files.variables):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_function_that_is_not_deployed_is_named() -> None:
    with pytest.raises(CommandFailed, match="is not deployed"):
        derived({})


def test_containers_have_no_resolver(tmp_path: Path) -> None:
    docker = engine.desktop(None)
    words = command.sam_command(derive.Files(tmp_path), docker, 3001)
    assert words[words.index("--container-dns") + 1] == "127.0.0.1"
    # It is not by a resolver that they find this machine.
    assert words[words.index("--add-host") + 1] == "host.docker.internal:host-gateway"


# ---------------------------------------------------------------- the engine


def test_no_engine_is_said_before_all_else() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "localstack", "sam-local"], cwd=settings.ROOT, capture_output=True, text=True,
        env=os.environ | {"DOCKER_HOST": "unix:///nonexistent/docker.sock"},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert "it needs a Docker engine, and none answers" in done.stderr


@pytest.mark.parametrize("address", ["tcp://10.0.0.9:2376", "ssh://ana@example.com", "http://127.0.0.1:2375"])
def test_an_engine_that_may_be_another_machines_is_refused(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", address)
    with pytest.raises(CommandFailed, match="may be another machine's"):
        engine.find()


@pytest.mark.parametrize(
    ("networks", "address"),
    [
        ([{"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.1"}], "172.17.0.1"),
        ([{"Subnet": "fd00::/64"}, {"Subnet": "10.9.0.0/24"}], "10.9.0.1"),
    ],
)
def test_containers_reach_this_machine_on_the_bridges_address(networks: list[dict[str, str]], address: str) -> None:
    found = engine.on_linux(None, networks)
    assert (found.listen, found.host, found.options) == (address, address, [])


def test_a_bridge_that_is_not_here_is_said() -> None:
    """As with a rootless engine; 192.0.2.0/24 is nobody's."""
    docker = engine.on_linux(None, [{"Subnet": "192.0.2.0/24"}])
    with contextlib.ExitStack() as cleanup, pytest.raises(CommandFailed, match=r"cannot listen on 192\.0\.2\.1"):
        command._reach(docker, cleanup)(("127.0.0.1", 1))


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ('{"status": 200}', ['{"status": 200}']),
        ('{"status": 200}{"status": 401}Invoking', ['{"status": 200}', '{"status": 401}', "Invoking"]),
        ("Invoking {torn", ["Invoking {torn"]),
        ("", []),
    ],
)
def test_what_sams_threads_print_on_one_line_is_taken_apart(line: str, parts: list[str]) -> None:
    """For the integration tests that read what functions log."""
    assert list(apart(line)) == parts


# ---------------------------------------------------------------- forwarding


@contextlib.contextmanager
def echo(listener: socket.socket) -> Iterator[None]:
    """Something that sends back one message of a connection, in capitals."""

    def answer() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _address = listener.accept()
                with connection:
                    connection.sendall(connection.recv(1024).upper())

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


LOOPBACK = ipaddress.IPv4Network("127.0.0.0/8")


def asked(port: int) -> bytes:
    """What comes back from a port."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(b"hello")
        received = b""
        with contextlib.suppress(ConnectionError):
            while part := client.recv(1024):
                received += part
        return received


def test_a_port_of_loopback_is_forwarded_and_afterwards_no_longer() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    with echo(listener):
        with forward.forwarded("127.0.0.1", listener.getsockname(), LOOPBACK) as port:
            assert [asked(port), asked(port)] == [b"HELLO", b"HELLO"]
        with pytest.raises(ConnectionRefusedError):
            asked(port)


def test_a_unix_socket_is_forwarded_and_one_that_is_gone_ends_the_connection(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    with forward.forwarded("127.0.0.1", path, LOOPBACK) as port:
        with echo(listener):
            assert asked(port) == b"HELLO"
        assert asked(port) == b""


def test_who_is_no_container_is_not_let_in() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    with (
        echo(listener),
        forward.forwarded("127.0.0.1", listener.getsockname(), ipaddress.IPv4Network("10.0.0.0/8")) as port,
    ):
        assert asked(port) == b""
