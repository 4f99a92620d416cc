"""What the integration tests run against: the choice, why a test does not run somewhere, what was recorded."""

import json
import re

import pytest
from tests.integration import record, targets
from tests.integration.targets import TARGETS, Target
from tests.own_platform import running_platform
from tools import capabilities


def test_the_embedded_platform_is_the_default_and_lacks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EMULATOR", raising=False)
    assert targets.chosen().name == "embedded"
    assert not targets.chosen().lacks


def test_a_target_that_there_is_not_is_named_beside_those_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMULATOR", "clouds")
    with pytest.raises(LookupError, match="'clouds'; there are embedded"):
        targets.chosen()


def test_the_reason_names_the_capability_and_the_version_that_is_locked() -> None:
    target = Target("here", "ministack", "platform.txt", running_platform, {"iam": "it asks nobody"})
    assert target.why_not("iam") == f"iam: ministack {target.version}: it asks nobody"
    assert target.why_not("launcher") is None


def test_a_capability_that_nobody_declared_is_refused() -> None:
    with pytest.raises(KeyError):
        TARGETS["embedded"].why_not("flying")
    with pytest.raises(ValueError, match="flying"):
        Target("here", "ministack", "platform.txt", running_platform, {"flying": "no wings"})


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_each_target_has_a_locked_version_and_reasons(target: Target) -> None:
    assert target.version[0].isdigit()
    assert all(target.lacks.values())


def test_what_was_recorded_is_of_the_versions_and_lacks_of_today() -> None:
    """A lock file that has moved since is a reason to look again: make test-integration RECORD=1, make capabilities."""
    recorded = json.loads(record.FILE.read_text())
    assert recorded["capabilities"] == targets.CAPABILITIES
    for name, found in recorded["targets"].items():
        target = TARGETS[name]
        assert (found["product"], found["version"]) == (target.product, target.version)
        assert found["lacks"] == target.lacks


@pytest.mark.parametrize("page", ["README.md", "README.es.md", "docs/emulators.md"])
def test_what_is_told_of_a_version_is_of_the_locked_one(page: str) -> None:
    told = re.findall(r"\b(localstack-core|MiniStack|aws-sam-cli) (\d[\d.]*\d)", (targets.ROOT / page).read_text())
    assert told
    locked = {target.product: target.version for target in TARGETS.values()}
    for product, version in told:
        assert f"{locked[product.lower()]}.".startswith(f"{version}."), product


def test_a_run_replaces_what_was_recorded_of_its_target_alone() -> None:
    before = {"targets": {name: {"date": "before"} for name in TARGETS}}
    counts = {"passed": 3, "failed": 0, "skipped": 1}
    after = record.added(before, TARGETS["localstack"], ["finds"], counts, "2026-11-26")
    assert list(after["targets"]) == list(TARGETS)
    assert after["targets"]["embedded"] == {"date": "before"}
    assert after["targets"]["localstack"]["tests"] == counts
    assert after["targets"]["localstack"]["date"] == "2026-11-26"
    assert after["targets"]["localstack"]["parts"] == ["finds"]


def test_the_table_has_a_row_for_each_capability_and_the_reason_of_each_lack() -> None:
    found = {
        "product": "p",
        "version": "1",
        "date": "2026-11-26",
        "parts": [],
        "tests": dict.fromkeys(("passed", "failed", "skipped"), 2),
    }
    written = {
        "capabilities": {"iam": "roles count", "triggers": "events come"},
        "targets": {
            "here": found | {"lacks": {}},
            "there": found | {"parts": ["finds", "journey"], "lacks": {"iam": "it asks nobody"}},
        },
    }
    page = capabilities.rendered(f"before\n{capabilities.BEGIN}old\n{capabilities.END}after\n", written)
    assert page.startswith("before\n")
    assert page.endswith("after\n")
    assert "| `iam`: roles count | yes | no |" in page
    assert "| parts of the suite | all | finds, journey |" in page
    assert "| tests passed | 2 | 2 |" in page
    assert "| `triggers`: events come | yes | yes |" in page
    assert "* there lacks `iam`: it asks nobody." in page
    assert "old" not in page
    with pytest.raises(ValueError, match="no marks"):
        capabilities.rendered("a page without them", written)
