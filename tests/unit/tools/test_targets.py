"""What the integration tests run against: the choice, and why a test does not run somewhere."""

import pytest
from tests.integration import targets
from tests.integration.targets import TARGETS, Target
from tests.own_platform import running_platform


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
