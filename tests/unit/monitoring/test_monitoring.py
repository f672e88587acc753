"""Dashboard, alerts and README against what `/metrics` really shows."""

from __future__ import annotations

import json
import re
import subprocess
from itertools import product
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from stagewarden.metrics import Metrics, families
from stagewarden.metrics.cells import Family
from tests.needs import needs

FOLDER = Path(__file__).parents[3] / "deploy" / "monitoring"
RULES = yaml.safe_load((FOLDER / "alerts.yaml").read_text())
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"] if "alert" in rule]
NAMES = sorted({rule["alert"] for rule in ALERTS})
RECORDS = {rule["record"] for group in RULES["groups"] for rule in group["rules"] if "record" in rule}
TESTS = [case for name in ("alerts_test.yaml", "alerts_slow_test.yaml") for case in yaml.safe_load((FOLDER / name).read_text())["tests"]]
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = {f"{panel['title']} {target['refId']}": target["expr"] for panel in PANELS for target in panel["targets"]}
QUERIES |= {annotation["name"]: annotation["expr"] for annotation in DASHBOARD["annotations"]["list"]}
EVERY = [family for family in vars(families).values() if isinstance(family, Family)]
ADDED_BY_PROMETHEUS = {"instance", "job"}

SELECTOR = re.compile(r"\b((?:stagewarden|process)_[a-z_]+|up\b|stagewarden:[a-z0-9_:]+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|=|!=|!~)\s*"([^"]*)"')
GROUPING = re.compile(r"\b(?:by|on|ignoring|group_left)\s*\(([^)]*)\)")


@pytest.fixture(scope="module")
def samples() -> dict[str, dict[str, set[str]]]:
    """Sample name → label → values, of an exposition in which every family has every listed value."""
    metrics = Metrics("1.2.3")
    metrics.registry_loaded("rev", ["newsletter"], ["drafter-7"], ["cms"])
    metrics.policy_loaded("rev", "wasm", 1)
    for rows in (*metrics._all.counts.values(), *metrics._all.spreads.values()):
        if rows.family.name.endswith("_info"):
            continue
        for key in product(*rows._closed):
            (rows.observe(0.1, key) if rows.family.kind == "histogram" else rows.set(1, key))
    found: dict[str, dict[str, set[str]]] = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for name, value in sample.labels.items():
                labels.setdefault(name, set()).add(value)
    return found


def problems(expression: str, samples: dict[str, dict[str, set[str]]]) -> list[str]:
    """Names, labels and label values an expression uses and `/metrics` does not have."""
    found, labels = [], set(ADDED_BY_PROMETHEUS)
    for name, matchers in SELECTOR.findall(expression):
        if name == "up" or name in RECORDS:
            continue
        if name not in samples:
            found.append(f"no metric {name}")
            continue
        labels |= samples[name].keys()
        for label, operator, value in MATCHER.findall(matchers):
            if label in ADDED_BY_PROMETHEUS or value.startswith("$"):
                if label not in ADDED_BY_PROMETHEUS | samples[name].keys():
                    found.append(f"{name} has no label {label}")
                continue
            if label not in samples[name]:
                found.append(f"{name} has no label {label}")
            elif wrong := set(value.split("|") if operator.endswith("~") else [value]) - samples[name][label]:
                found.append(f"{name}: {label} is never {sorted(wrong)}")
    grouped = {label.strip() for labels_of in GROUPING.findall(expression) for label in labels_of.split(",")} - {""}
    return found + [f"nothing has the label {label}" for label in sorted(grouped - labels)]


@pytest.mark.parametrize("title", QUERIES)
def test_every_panel_asks_for_what_there_is(title, samples) -> None:
    """Metric names, labels and label values of each query exist in a real exposition."""
    assert problems(QUERIES[title], samples) == []
    assert SELECTOR.search(QUERIES[title])


@pytest.mark.parametrize("rule", [rule for group in RULES["groups"] for rule in group["rules"]], ids=lambda rule: rule.get("alert") or rule["record"])
def test_every_rule_asks_for_what_there_is(rule, samples) -> None:
    """The same for recording and alerting rules, and for the queries their runbooks name."""
    assert problems(rule["expr"], samples) == []
    for query in re.findall(r"`([^`]*stagewarden_[^`]*)`", rule.get("annotations", {}).get("runbook", "")):
        assert problems(query, samples) == []


def test_the_checks_above_can_fail(samples) -> None:
    """A query with a misspelt metric, label, value or grouping is found."""
    assert problems('sum by (stgae) (stagewarden_decisions_total{effect="denied"}) + stagewarden_nothing{x="y"}', samples) == [
        "stagewarden_decisions_total: effect is never ['denied']", "no metric stagewarden_nothing", "nothing has the label stgae",
    ]  # fmt: skip
    assert problems('stagewarden_opa_up{risk="low", instance=~"$instance"}', samples) == ["stagewarden_opa_up has no label risk"]


def test_every_metric_is_on_the_dashboard() -> None:
    """What nobody looks at should not be collected."""
    asked = " ".join(QUERIES.values())
    unseen = {family.name for family in EVERY if not re.search(rf"\b{family.name}(_bucket|_sum|_count)?\b", asked)}
    assert unseen == set()


def test_the_dashboard_has_its_rows_one_data_source_and_a_word_for_each_panel() -> None:
    """Ids are unique, panels do not overlap, every query goes to the chosen data source."""
    assert [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"] == [
        "Service and objectives", "Decisions", "Holds", "Audit log", "Policy engine", "Grants", "Notifications",
    ]  # fmt: skip
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert {target["datasource"]["uid"] for panel in PANELS for target in panel["targets"]} == {"${datasource}"}
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_every_alert_says_how_urgent_it_is_and_what_to_do() -> None:
    """Page or ticket, a summary of the symptom, and a runbook."""
    for rule in ALERTS:
        assert rule["labels"]["severity"] in {"page", "ticket"}, rule["alert"]
        assert len(rule["annotations"]["summary"]) > 20, rule["alert"]
        assert len(rule["annotations"]["runbook"]) > 60, rule["alert"]


def test_the_readme_lists_every_alert_as_urgent_as_it_is() -> None:
    """One row each, with the severities its rules have."""
    readme = (FOLDER / "README.md").read_text()
    listed = {name: set(severity.split(", ")) for name, severity in re.findall(r"^\| `(Stagewarden\w+)` \| ([a-z, ]+) \|", readme, re.MULTILINE)}
    assert listed == {name: {rule["labels"]["severity"] for rule in ALERTS if rule["alert"] == name} for name in NAMES}


@pytest.mark.parametrize("alert", NAMES)
def test_every_alert_has_a_firing_and_a_quiet_case(alert) -> None:
    """In the promtool tests."""
    expected = [
        case["promql_expr_test"][0]["exp_samples"] for case in TESTS if f'alertname="{alert}"' in case["promql_expr_test"][0]["expr"]
    ]  # fmt: skip
    assert [] in expected
    assert any(expected)


def test_prometheus_accepts_the_rules_and_every_query(tmp_path) -> None:
    """`promtool check rules` on the rules, and on every dashboard query with its variables filled in."""
    promtool = needs("promtool")
    rules = [
        {"record": f"panel:{number}", "expr": query.replace("$__rate_interval", "5m").replace("$instance", ".*").replace("$workflow", ".*")}
        for number, query in enumerate(QUERIES.values())
    ]
    queries = tmp_path / "queries.yaml"
    queries.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    for file in (FOLDER / "alerts.yaml", queries):
        done = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", ["alerts_test.yaml", "alerts_slow_test.yaml"])
def test_alerts_fire_and_stay_quiet_as_their_cases_say(file) -> None:
    """`promtool test rules`."""
    done = subprocess.run([needs("promtool"), "test", "rules", FOLDER / file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_accepts_the_example_configuration() -> None:
    """With the rule file it names."""
    done = subprocess.run([needs("promtool"), "check", "config", FOLDER / "prometheus.yml"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_readme_lists_exactly_the_metrics_there_are() -> None:
    """Name, type, labels with their number of values, and meaning: row by row, both ways."""
    rows = [line.strip("| ").split(" | ") for line in (FOLDER / "README.md").read_text().splitlines() if line.startswith("| `stagewarden_")]
    there = [[f"`{family.name}`", family.kind, _labels(family), family.help] for family in EVERY]
    assert rows == there


def _labels(family: Family) -> str:
    named = [f"`{label}` {len(values)}" if values else f"`{label}`" for label, values in zip(family.labels, family.values, strict=True)]
    return ", ".join(named) or "–"  # noqa: RUF001 - as the tables of the manuals have it


def test_the_readme_names_every_file_here() -> None:
    """A newcomer finds each by its table."""
    text = (FOLDER / "README.md").read_text()
    assert [path.name for path in FOLDER.iterdir() if path.name != "README.md" and f"`{path.name}`" not in text] == []
