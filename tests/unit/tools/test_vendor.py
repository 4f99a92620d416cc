"""The packages of others that the console's page is made with."""

import io
import json
import tarfile

import pytest
from tools.vendor.__main__ import Broken, for_a_browser, taken


def package(**files: str) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as packed:
        for name, text in files.items():
            member = tarfile.TarInfo(f"package/{name.replace('__', '.')}")
            member.size = len(text.encode())
            packed.addfile(member, io.BytesIO(text.encode()))
    return content.getvalue()


def test_other_packages_are_named_by_their_files_and_maps_are_left_out() -> None:
    script = 'import{h}from"preact";import x from "./own.js";\n//# sourceMappingURL=hooks.mjs.map'
    assert for_a_browser(script) == 'import{h}from"./preact.js";import x from "./own.js";\n'


def test_what_is_listed_is_taken_and_nothing_else() -> None:
    content = package(main__js="1", LICENSE="MIT", other__js="2")
    told = {"version": "1.0.0", "files": {"main.js": "one.js", "LICENSE": "one.LICENSE"}}
    assert dict(taken("one", told, content)) == {"one.js": "1", "one.LICENSE": "MIT"}


def test_icons_are_taken_by_name_and_a_missing_one_is_told() -> None:
    nodes = {"sun": [["circle", {"r": "4"}]], "moon": []}
    content = package(**{"icon-nodes__json": json.dumps(nodes)})
    told = {"version": "1.0.0", "files": {}, "icons": ["sun"]}
    assert '"sun": [["circle",{"r":"4"}]],' in dict(taken("icons", told, content))["icons.js"]
    with pytest.raises(Broken, match="no icon star"):
        dict(taken("icons", told | {"icons": ["star"]}, content))


def test_a_package_that_lacks_a_file_is_told() -> None:
    with pytest.raises(Broken, match=r"one 1\.0\.0 has no main\.js"):
        dict(taken("one", {"version": "1.0.0", "files": {"main.js": "one.js"}}, package(LICENSE="MIT")))
