"""The READMEs and the tour in docs: what they tell people to paste works as printed, both languages say the same."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.integration.client import Platform
from tests.unit.functions.template import functions

ROOT = Path(__file__).resolve().parents[2]
ENGLISH, SPANISH = ROOT / "README.md", ROOT / "README.es.md"
USING, OPERATING, SECURITY = ROOT / "docs/using-the-api.md", ROOT / "docs/operating.md", ROOT / "SECURITY.md"
PAGES = [
    pytest.param(path, id=path.name) for path in (ENGLISH, SPANISH, SECURITY, *sorted((ROOT / "docs").glob("*.md")))
]

# What each curl of the tours is answered, in order; the last one shows an error.
SHORT_TOUR = [
    *(201, 200),  # an account
    *(201, 200, 200),  # a picture
    *(201, 200),  # speech
    *(201, 200),  # a summary, and an answer in pieces
    *(204, 200, 204),  # away with it
    *(200, 200),  # what the platform tells of itself
    422,
]
WHOLE_TOUR = [
    *(201, 200, 200, 200, 204, 204),  # an account, its sessions and its password
    *(201, 201, 201, 200, 200, 200, 200),  # pictures, of which one is asked for twice
    *(201, 200, 200, 200, 200),  # speech
    *(201, 200, 200, 200, 204),  # a summary
    *(200, 201, 201, 200),  # a conversation, its second answer in pieces
    *(200, 200, 200, 200, 200, 200, 200, 204, 204),  # what is kept of it, and away with it
    *(204, 204, 200, 204),  # away with it all
    *(200, 200, 200, 200, 200, 200, 200),  # what the platform tells of itself
    *(200, 200, 204, 204),  # its page
    422,
]
# What stands for the parameters of a path.
PARAMETERS = {"{id}": "[0-9a-f-]{36}", "{asset}": "[a-z.-]+", "{version}": "[0-9a-f]+"}
# Stands in front of the tour and has curl tell, on standard error, what came back from where.
TELLING_CURL = r"""curl() { command curl --write-out '%{stderr}%{http_code} %{method} %{url_effective}\n' "$@"; }"""

FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#+) ", re.MULTILINE)
# In these the words are prose, in the language of the page.
TRANSLATED = {"mermaid", "text"}


def blocks(text: str) -> list[tuple[str, str]]:
    """Language and content of the fenced blocks, in order."""
    return [(match[2], match[3]) for match in FENCE.finditer(text)]


def without_blocks(text: str) -> str:
    """The text alone: a comment in a block may look like a heading."""
    return FENCE.sub("", text)


def tour(page: Path) -> str:
    """All bash blocks of the tour, as one script."""
    _, _, rest = page.read_text().partition("<!-- tour:begin -->\n")
    text, end, _ = rest.partition("<!-- tour:end -->\n")
    assert end, f"{page.name} has no tour"
    return "".join(content for language, content in blocks(text) if language == "bash")


def walk(page: Path, platform: Platform, folder: Path) -> list[tuple[int, str]]:
    """Take the page's tour; the status of each of its calls, and the call."""
    script = tour(page).replace("localhost:3000", f"localhost:{platform.api_port}")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{TELLING_CURL}\n{script}"],
        cwd=folder,
        env=os.environ | {"NO_PROXY": "localhost", "no_proxy": "localhost"},
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = [line.split(" ") for line in done.stderr.splitlines()]
    return [
        (int(status), f"{method} {url.removeprefix(platform.api_url).partition('?')[0]}")
        for status, method, url in told
    ]


def test_the_tour_works_as_printed_and_once_more(platform: Platform, tmp_path: Path) -> None:
    # Both languages have the same one: see below.
    for _ in range(2):
        assert [status for status, _ in walk(ENGLISH, platform, tmp_path)] == SHORT_TOUR
        for file in ("sunrise", "morning.mp3"):
            assert (tmp_path / file).stat().st_size > 0
            (tmp_path / file).unlink()


def test_the_whole_tour_works_as_printed_and_calls_every_route(platform: Platform, tmp_path: Path) -> None:
    calls = walk(USING, platform, tmp_path)
    assert [status for status, _ in calls] == WHOLE_TOUR
    for route in (route for function in functions().values() for route in function.routes):
        pattern = re.escape(f"{route.method} {route.path}")
        for name, value in PARAMETERS.items():
            pattern = pattern.replace(re.escape(name), value)
        assert any(re.fullmatch(pattern, call) for _, call in calls), f"the tour never calls {route}"
    for file in ("sunrise.jpg", "morning.mp3"):
        assert (tmp_path / file).stat().st_size > 0


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


@pytest.mark.parametrize("page", PAGES)
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
    _, _, rest = OPERATING.read_text().partition("## Security events\n")
    table, _, _ = rest.partition("\n## ")
    assert logged
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == logged
