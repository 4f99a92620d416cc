"""The local platform's settings and the names of its services, as people write them."""

import io
import zipfile
from pathlib import Path

import pytest
from localstack import services, settings, stack
from localstack.console import CommandFailed
from localstack.live import SourceError, Sources
from samcli.cli.types import CfnParameterOverridesType  # type: ignore[import-untyped]

from generation.services import Service

TEMPLATE = {"SAM_TEMPLATE": str(settings.ROOT / "template.yaml")}


@pytest.mark.parametrize(
    ("said", "ports"),
    [
        ({}, (8000, 8001)),
        ({"LEGACY_PORTS": ""}, ()),
        ({"LEGACY_PORTS": " 8000 , 9001,8000 "}, (8000, 9001)),
        ({"LEGACY_PORTS": "8000,8001", "API_PORT": "8000"}, (8001,)),
        ({"LEGACY_PORTS": "8000,8001", "AWS_PORT": "8001"}, (8000,)),
    ],
)
def test_the_old_services_ports_are_a_list_without_the_platforms_own(
    said: dict[str, str], ports: tuple[int, ...]
) -> None:
    assert settings.load(TEMPLATE | said).legacy_ports == ports


@pytest.mark.parametrize("said", ["8000;8001", "0", "70000", "-1", "x"])
def test_a_list_with_something_else_than_ports_is_refused_by_name(said: str) -> None:
    with pytest.raises(CommandFailed, match="LEGACY_PORTS"):
        settings.load(TEMPLATE | {"LEGACY_PORTS": said})


def test_a_service_goes_by_its_folder_and_by_its_old_name() -> None:
    known = ["auth", "image", "tts", "users", "summarize"]

    assert services.folders("users", known) == services.folders("auth", known) == ("auth", "users")
    assert services.folders("speech", known) == services.folders("tts", known) == ("tts",)
    assert services.folders("summarize", known) == ("summarize",)
    with pytest.raises(CommandFailed) as failure:
        services.folders("chat", known)
    assert failure.value.remedy == "say one of auth, image, speech, summarize, tts, users"


@pytest.mark.parametrize("service", services.generating(), ids=lambda service: service.name)
def test_a_service_has_on_this_machine_its_chain_with_the_offline_engine_and_generous_limits(service: Service) -> None:
    parameters = settings.load(TEMPLATE).parameters

    chain = parameters[f"{service.pascal}Providers"].split(",")
    if service.local_chain:
        assert chain == list(service.local_chain)
    else:
        assert chain[: len(service.chain)] == list(service.chain)
    assert ("offline" in chain) == ("offline" in service.providers)
    assert chain.count("offline") <= 1
    for limit in ("RateLimit", "AnonymousRateLimit"):
        assert parameters[f"{service.pascal}{limit}"] == "6000"


def test_every_rate_limit_of_the_template_is_a_generous_one_here() -> None:
    limits = {name for name in settings.declared(settings.ROOT / "template.yaml") if name.endswith("RateLimit")}

    assert limits
    assert limits <= settings.local_parameters().keys()


def test_the_environment_wins_over_what_is_set_for_this_machine() -> None:
    service = next(iter(services.generating()))
    said = {f"{service.name.upper()}_PROVIDERS": "offline"}

    assert settings.load(TEMPLATE | said).parameters[f"{service.pascal}Providers"] == "offline"


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    """Two services and two layers."""
    for name in ("functions/image", "functions/tts", "layers/core/core", "layers/accounts/accounts"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "__init__.py").write_text("")
    (tmp_path / "layers/core/requirements.txt").write_text("")
    return Sources(tmp_path)


def names(package: bytes) -> set[str]:
    return {name for name in zipfile.ZipFile(io.BytesIO(package)).namelist() if not name.endswith(".pyc")}


def test_a_package_has_all_functions_and_the_layers_of_the_function_alone(sources: Sources) -> None:
    assert names(sources.package(("image",), frozenset({"core"}))) == {
        "image/__init__.py",
        "tts/__init__.py",
        "core/__init__.py",
    }


def test_a_half_written_file_of_another_service_does_not_hold_this_one_back(sources: Sources) -> None:
    (sources.functions / "tts/__init__.py").write_text("def broken(:\n")

    assert sources.package(("image",), frozenset())
    with pytest.raises(SourceError, match=r"tts/__init__.py:1: invalid syntax"):
        sources.package(("tts",), frozenset())


def test_the_same_sources_are_the_same_package_and_others_another_one(sources: Sources) -> None:
    layers = frozenset({"core"})
    before = sources.package(("image",), layers)

    assert (
        sources.package(("image",), layers) == before == Sources(sources.functions.parent).package(("image",), layers)
    )
    (sources.layers / "core/core/__init__.py").write_text("X = 1\n")
    assert sources.package(("image",), layers) != before
    (sources.layers / "core/core/__init__.py").unlink()
    assert "core/__init__.py" not in names(sources.package(("image",), layers))


def test_a_providers_key_goes_to_its_secret_and_is_shown_nowhere() -> None:
    loaded = settings.load(TEMPLATE | {"POLLINATIONS_KEY": "sk-1 ", "OPENAI_KEY": ""})
    assert loaded.keys == {"PollinationsSecretArn": "sk-1"}
    assert "sk-1" not in repr(loaded)
    assert "sk-1" not in loaded.parameters.values()


def test_a_secret_that_is_named_wins_over_a_key() -> None:
    said = {"POLLINATIONS_KEY": "sk-1", "POLLINATIONS_SECRET_ARN": "arn:aws:secretsmanager:us-east-1:1:secret:mine"}
    loaded = settings.load(TEMPLATE | said)
    assert loaded.keys == {}
    assert loaded.parameters["PollinationsSecretArn"] == said["POLLINATIONS_SECRET_ARN"]


@pytest.mark.parametrize(
    "value",
    [
        '{"openai/gpt x": {"inputPerMillion": 0.15}, "a/*": {}}',
        "mini=llama3.2:3b:131072,big=x/y:9",
        "a,b",
        "*",
    ],
)
def test_sam_reads_a_parameter_as_it_was_said(value: str) -> None:
    (_, *said) = stack._overrides({"ModelPrices": value})
    assert CfnParameterOverridesType().convert(tuple(said), None, None) == {"ModelPrices": value}
