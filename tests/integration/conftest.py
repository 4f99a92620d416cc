"""One platform of the tests' own, on free ports, with fake providers on loopback; stopped at the end.

Which one it is says EMULATOR (`targets.py`); a test that needs what it cannot do is skipped with the reason.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration import record
from tests.integration.client import Api, Platform, User
from tests.integration.targets import CAPABILITIES, Target, chosen
from tests.own_platform import fake_providers

ROOT = Path(__file__).resolve().parents[2]
LACKS = "lacks"
PROBED = "probed"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what the target cannot do; what reads the log of all that the other tests did comes after them."""
    items.sort(key=lambda item: item.path.name == "test_log.py")
    target = chosen()
    for item in items:
        for capability in (name for mark in item.iter_markers("needs") for name in mark.args):
            reason = target.why_not(capability)
            if reason is not None:
                item.add_marker(pytest.mark.skip(reason=reason))
                # For the counts at the end; properties travel between processes.
                item.user_properties.append((LACKS, capability))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what ran where, and how many tests the target's lacks cost."""
    target = chosen()
    reports = {
        outcome: [report for report in terminalreporter.stats.get(outcome, ()) if "tests/integration/" in report.nodeid]
        for outcome in ("passed", "failed", "error", "skipped")
    }
    if not any(reports.values()):
        return
    terminalreporter.section(f"integration on {target.name} ({target.product} {target.version})")
    terminalreporter.write_line(", ".join(f"{len(found)} {outcome}" for outcome, found in reports.items()))
    # A test that needs two things that are not there counts for both.
    lacking = Counter(value for report in reports["skipped"] for name, value in report.user_properties if name == LACKS)
    for capability, count in sorted(lacking.items()):
        terminalreporter.write_line(f"{count:4} skipped for want of {target.why_not(capability)}")
    if os.environ.get("RECORD"):
        terminalreporter.write_line(_record(target, reports))


def _record(target: Target, reports: dict[str, list[pytest.TestReport]]) -> str:
    """Write down what was found; only when every probe has found what is declared. Says what it did."""
    probed = {
        outcome: {value for report in found for name, value in report.user_properties if name == PROBED}
        for outcome, found in reports.items()
    }
    if probed["passed"] != set(CAPABILITIES):
        return f"not recorded: {', '.join(sorted(set(CAPABILITIES) - probed['passed']))} not as declared, or not tried"
    ran = {ROOT / report.nodeid.partition("::")[0] for found in reports.values() for report in found}
    counts = {"passed": len(reports["passed"]), "failed": len(reports["failed"] + reports["error"])}
    counts["skipped"] = len(reports["skipped"])
    is_whole = set(Path(__file__).parent.rglob("test_*.py")) <= ran
    parts = [] if is_whole else sorted(path.stem.removeprefix("test_") for path in ran)
    record.write(target, parts, counts, time.strftime("%Y-%m-%d", time.gmtime()))
    return f"recorded in docs/{record.FILE.name}"


@pytest.fixture(scope="session")
def target() -> Target:
    """What the tests run against."""
    return chosen()


@pytest.fixture(scope="session")
def fakes() -> Iterator[dict[str, str]]:
    """The addresses of fake Pollinations and Google, as settings of the platform."""
    with fake_providers() as settings:
        yield settings


@pytest.fixture(scope="session")
def platform(target: Target, fakes: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform that one command would start, in a folder and on ports of its own."""
    with target.start(tmp_path_factory.mktemp("platform"), fakes) as running:
        yield running


@pytest.fixture
def api(platform: Platform) -> Api:
    """An anonymous client."""
    return Api(platform.api_url)


@pytest.fixture
def register(platform: Platform) -> Callable[[], User]:
    """Makes accounts, each with a client that is logged in."""
    return lambda: User.register(platform.api_url)


@pytest.fixture
def ana(register: Callable[[], User]) -> User:
    """A user."""
    return register()


@pytest.fixture
def bob(register: Callable[[], User]) -> User:
    """Another user."""
    return register()
