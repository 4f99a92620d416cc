"""What is shipped for Prometheus and Grafana fits the metrics that there are, and the runbook."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from tools.sources import ROOT

from generation.usage import exposition
from generation.usage.entries import Counters, Source
from generation.usage.reading import Total

FOLDER = ROOT / "observability"
RULES = FOLDER / "prometheus/alerts.yml"
# Debian's package brings it: make prometheus.
needs_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="promtool is not on this machine: make prometheus installs it"
)
_METRIC = re.compile(r"\bllm_\w+")


def exposed() -> set[str]:
    """The names of all series."""
    found = {Source("chat", "openai", "m"): Total(Counters(succeeded=1, latency_ms=5), {10: 1})}
    text = exposition.expose(found, "1.0.0", open_metrics=False)
    return {line.partition("{")[0].partition(" ")[0] for line in text.splitlines() if not line.startswith("#")}


def alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def expressions() -> Iterator[str]:
    """Everything that the rules and the dashboard ask."""
    yield from (alert["expr"] for alert in alerts())
    for board in (FOLDER / "grafana/dashboards").glob("*.json"):
        for panel in json.loads(board.read_text())["panels"]:
            yield from (asked["expr"] for asked in panel.get("targets", ()))


def test_rules_and_dashboard_ask_for_metrics_that_there_are() -> None:
    asked = {name for expression in expressions() for name in _METRIC.findall(expression)}
    assert len(asked) >= 5
    assert asked <= exposed()


def test_each_alert_leads_to_its_section_of_the_runbook() -> None:
    headings = re.findall("^#+ (.+)$", (ROOT / "docs/usage.md").read_text(), re.MULTILINE)
    anchors = {f"docs/usage.md#{heading.lower().replace(' ', '-')}" for heading in headings}
    assert {alert["annotations"]["runbook"] for alert in alerts()} <= anchors


def test_every_alert_has_a_test() -> None:
    tested = {
        case["alertname"]
        for test in yaml.safe_load((FOLDER / "prometheus/alerts_test.yml").read_text())["tests"]
        for case in test["alert_rule_test"]
        if case["exp_alerts"]
    }
    assert tested == {alert["alert"] for alert in alerts()}


def test_grafana_finds_what_the_compose_file_mounts() -> None:
    compose = yaml.safe_load((FOLDER / "docker-compose.yml").read_text())
    for service in compose["services"].values():
        for volume in service["volumes"]:
            source, mounted, mode = volume.split(":")
            assert (FOLDER / source).is_dir(), volume
            assert (mounted.startswith("/"), mode) == (True, "ro")
    (provider,) = yaml.safe_load((FOLDER / "grafana/provisioning/dashboards/files.yml").read_text())["providers"]
    mounts = [volume.split(":")[1] for volume in compose["services"]["grafana"]["volumes"]]
    assert provider["options"]["path"] in mounts
    (source,) = yaml.safe_load((FOLDER / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"]
    for board in (FOLDER / "grafana/dashboards").glob("*.json"):
        used = set(
            re.findall(r'"uid": "(\w+)", "type": "prometheus"|"type": "prometheus", "uid": "(\w+)"', board.read_text())
        )
        assert {name for pair in used for name in pair if name} <= {source["uid"]}


@needs_promtool
def test_the_rules_fire_when_they_should_and_stay_silent_when_they_should() -> None:
    done = subprocess.run(
        ["promtool", "test", "rules", "alerts_test.yml"], cwd=FOLDER / "prometheus", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_prometheus_takes_the_configuration_and_the_rules() -> None:
    for arguments in (["config", "--syntax-only", "prometheus.yml"], ["rules", "alerts.yml"]):
        done = subprocess.run(
            ["promtool", "check", *arguments], cwd=FOLDER / "prometheus", capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
