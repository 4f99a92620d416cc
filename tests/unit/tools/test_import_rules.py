"""The import rules hold for the areas that there are, and see one that is forgotten nowhere."""

import tomllib

from localstack import services
from tools import import_rules

from core.areas import Area
from generation.services import Service


def contract(areas: tuple[Area, ...], words: str) -> dict[str, object]:
    """The one contract whose name has these words."""
    (found,) = [one for one in import_rules.contracts(areas) if words in str(one["name"])]
    return found


def test_every_area_and_layer_is_among_what_is_checked() -> None:
    checked = tomllib.loads(import_rules.configuration(services.areas()))["tool"]["importlinter"]

    folders = {path.parent.name for path in import_rules.FUNCTIONS.glob("*/__init__.py")}
    assert folders
    layers = {path.parent.name for path in import_rules.FUNCTIONS.parent.glob("layers/*/requirements.in")}
    assert layers
    assert set(checked["root_packages"]) == folders | layers
    assert set(checked["contracts"][0]["layers"][0].split(" | ")) == folders


def test_a_service_belongs_to_the_plane_of_its_descriptor() -> None:
    areas = services.areas()

    assert contract(areas, "does not know S3")["source_modules"] == ["auth", "users", "accounts"]
    generating = [area.name for area in areas if isinstance(area, Service)]
    assert contract(areas, "does not know PostgreSQL")["source_modules"] == [
        *generating,
        "generation",
        "offline",
        "model",
    ]


def test_what_finds_the_sources_of_the_layers_knows_them_all() -> None:
    root = import_rules.FUNCTIONS.parent
    layers = {f"layers/{path.parent.name}" for path in root.glob("layers/*/Makefile")}
    tools = tomllib.loads((root / "pyproject.toml").read_text())["tool"]

    for paths in (tools["mypy"]["mypy_path"], tools["pytest"]["ini_options"]["pythonpath"]):
        # What runs inside of LocalStack is no layer.
        assert {path for path in paths if not path.startswith("localstack/")} == layers | {"functions"}
