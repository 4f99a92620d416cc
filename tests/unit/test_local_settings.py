"""The local platform's settings and the names of its services, as people write them."""

import io
import zipfile
from pathlib import Path

import pytest
from localstack import services, settings
from localstack.console import CommandFailed
from localstack.live import SourceError, Sources

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
