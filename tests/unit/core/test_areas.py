"""The registry: every folder of functions says of itself what it is."""

from pathlib import Path

import pytest
from tools.sources import FUNCTIONS

from core import areas

AREA = "from core.areas import Area\nSERVICE = Area(name={name!r}, tag='A', order={order})\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of functions that modules are imported from."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def add(folder: Path, name: str, *, described_as: str = "", order: int = 50) -> None:
    (folder / name).mkdir()
    (folder / name / "service.py").write_text(AREA.format(name=described_as or name, order=order))


def test_areas_are_found_in_their_order_and_then_by_name(folder: Path) -> None:
    add(folder, "areab", order=20)
    add(folder, "areaa", order=20)
    add(folder, "areaz", order=10)
    (folder / "nothing").mkdir()
    assert [area.name for area in areas.found(folder)] == ["areaz", "areaa", "areab"]


def test_a_descriptor_that_was_copied_and_not_renamed_is_told(folder: Path) -> None:
    add(folder, "areacopy", described_as="image")
    with pytest.raises(ValueError, match=r"areacopy/service\.py describes 'image'"):
        areas.found(folder)


def test_every_folder_of_functions_is_an_area() -> None:
    folders = {source.parent.name for source in FUNCTIONS.glob("*/__init__.py")}
    assert {area.name for area in areas.found(FUNCTIONS)} == folders
