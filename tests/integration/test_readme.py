"""The READMEs: what they tell a newcomer to paste works as printed, and both languages say the same."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.integration.client import Platform
from tests.unit.functions.template import functions, template

ROOT = Path(__file__).resolve().parents[2]
ENGLISH, SPANISH = ROOT / "README.md", ROOT / "README.es.md"
SECURITY, OPERATIONS = ROOT / "SECURITY.md", ROOT / "docs/operations.md"
READMES = [pytest.param(path, id=path.name) for path in (ENGLISH, SPANISH)]

# What each curl of the tour is answered, in order; the last one shows an error.
STATUSES = [
    *(201, 200, 200, 200, 204, 204),  # an account, its sessions and its password
    *(201, 201, 201, 200, 200, 200, 200),  # pictures, of which one is asked for twice
    *(201, 200, 200, 200, 200),  # speech
    *(204, 204, 200, 204),  # away with it all
    *(200, 200, 200, 200, 200, 200),  # what the platform tells of itself
    422,
]
# What stands for the parameters of a path.
PARAMETERS = {"{id}": "[0-9a-f-]{36}", "{asset}": "[a-z.-]+"}
# Stands in front of the tour and has curl tell, on standard error, what came back from where.
TELLING_CURL = r"""curl() { command curl --write-out '%{stderr}%{http_code} %{method} %{url_effective}\n' "$@"; }"""

FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#+) ", re.MULTILINE)
DEFAULT = re.compile(r"^\| `(\w+)` \| (?:`([^`]*)`)? *\|", re.MULTILINE)
# In these the words are prose, in the language of the page.
TRANSLATED = {"mermaid", "text"}


def blocks(text: str) -> list[tuple[str, str]]:
    """Language and content of the fenced blocks, in order."""
    return [(match[2], match[3]) for match in FENCE.finditer(text)]


def without_blocks(text: str) -> str:
    """The text alone: a comment in a block may look like a heading."""
    return FENCE.sub("", text)


def tour(readme: Path) -> str:
    """All bash blocks of the tour, as one script."""
    _, _, rest = readme.read_text().partition("<!-- tour:begin -->\n")
    text, end, _ = rest.partition("<!-- tour:end -->\n")
    assert end, f"{readme.name} has no tour"
    return "".join(content for language, content in blocks(text) if language == "bash")


def test_the_tour_works_as_printed_and_once_more(platform: Platform, tmp_path: Path) -> None:
    for readme in (ENGLISH, SPANISH):
        script = tour(readme).replace("localhost:3000", f"localhost:{platform.api_port}")
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"{TELLING_CURL}\n{script}"],
            cwd=tmp_path,
            env=os.environ | {"NO_PROXY": "localhost", "no_proxy": "localhost"},
            capture_output=True,
            text=True,
            timeout=1200,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        told = [line.split(" ") for line in done.stderr.splitlines()]
        assert [int(status) for status, _, _ in told] == STATUSES, done.stdout + done.stderr
        called = [f"{method} {url.removeprefix(platform.api_url).partition('?')[0]}" for _, method, url in told]
        # ANY is for what nobody should call.
        routes = [route for function in functions().values() for route in function.routes if route.method != "ANY"]
        for route in routes:
            pattern = re.escape(f"{route.method} {route.path}")
            for name, value in PARAMETERS.items():
                pattern = pattern.replace(re.escape(name), value)
            assert any(re.fullmatch(pattern, call) for call in called), f"the tour never calls {route}"
        for file in ("sunrise.jpg", "morning.mp3"):
            assert (tmp_path / file).stat().st_size > 0
            (tmp_path / file).unlink()


def test_both_languages_have_the_same_headings() -> None:
    english, spanish = (
        [len(marks) for marks in HEADING.findall(without_blocks(path.read_text()))] for path in (ENGLISH, SPANISH)
    )
    assert english == spanish


def test_both_languages_have_the_same_commands_and_answers() -> None:
    english, spanish = (blocks(path.read_text()) for path in (ENGLISH, SPANISH))
    assert [language for language, _ in english] == [language for language, _ in spanish]
    for ours, theirs in zip(english, spanish, strict=True):
        assert ours[0] in TRANSLATED or ours == theirs


@pytest.mark.parametrize("readme", READMES)
def test_every_parameter_of_the_template_is_documented_with_its_default(readme: Path) -> None:
    documented = dict(DEFAULT.findall(readme.read_text()))
    for name, parameter in template()["Parameters"].items():
        assert documented.get(name) == str(parameter.get("Default", "")), name


@pytest.mark.parametrize("readme", READMES)
def test_every_command_of_the_makefile_is_documented(readme: Path) -> None:
    targets = re.findall(r"^([a-z][a-z -]*):[^#\n]*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets
    _, _, rest = readme.read_text().partition("| `make up` |")
    table, _, _ = rest.partition("\n\n")
    documented = {"up", *re.findall(r"`(?:make )?([a-z-]+)(?: EMAIL=…)?`", table)}
    assert {name for names in targets for name in names.split()} <= documented


@pytest.mark.parametrize(
    "page",
    [pytest.param(path, id=path.name) for path in (ENGLISH, SPANISH, SECURITY, *sorted((ROOT / "docs").glob("*.md")))],
)
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    for target, heading in re.findall(r"\]\((?!https?://)([^)#]*)(?:#([^)]+))?\)", page.read_text()):
        linked = page.parent / target if target else page
        assert linked.exists(), target
        assert not heading or heading in anchors(linked), f"{target}#{heading}"


def anchors(page: Path) -> set[str]:
    """What GitHub names the headings of a page by."""
    headings = re.findall(r"^#+ (.+)$", without_blocks(page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_each_protection_is_held_by_tests_and_files_that_exist() -> None:
    tests = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    named = set(re.findall(r"`(test_\w+)`", SECURITY.read_text()))
    assert len(named) > 40
    assert named <= tests
    for path in re.findall(
        r"`((?:layers|functions|localstack|tests|tools)/[\w./]+|template\.yaml)`", SECURITY.read_text()
    ):
        assert (ROOT / path).exists(), path


def test_every_security_event_is_documented_and_no_other() -> None:
    logged = {
        event
        for folder in ("functions", "layers")
        for path in (ROOT / folder).rglob("*.py")
        for event in re.findall(r'security_event="(\w+)"', path.read_text())
    }
    _, _, rest = OPERATIONS.read_text().partition("## Security events\n")
    table, _, _ = rest.partition("\n## ")
    assert logged
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == logged
