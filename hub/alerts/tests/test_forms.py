from __future__ import annotations

from typing import Any

import pytest

from hub.alerts.forms import RuleForm, describe_changes
from hub.alerts.models import Rule
from hub.alerts.tests.scenes import CPU, DISK, disk, series
from hub.machines.models import Machine, Tag
from hub.storage import layouts

pytestmark = pytest.mark.django_db

SAID: dict[str, Any] = {
    "name": "Data is nearly full",
    "enabled": "on",
    "kind": "threshold",
    "metric": DISK,
    "matchers": "mountpoint=/data",
    "scope": "all",
    "aggregation": "last",
    "operator": "gte",
    "warning": "90 %",
    "critical": "95 %",
    "for_s": "5 min",
    "clear": "88 %",
    "clear_for_s": "1 min",
    "no_data": "ignore",
}
SIZE = "system.memory.usage"


@pytest.fixture(autouse=True)
def _fleet() -> None:
    layouts.learn([series(CPU), disk("/data"), series(SIZE, "By")])


def form(**said: Any) -> RuleForm:
    return RuleForm({**SAID, **said})


def errors(**said: Any) -> dict[str, list[str]]:
    return {name: list(map(str, found)) for name, found in form(**said).errors.items()}


def test_a_rule_is_written_as_people_write() -> None:
    written = form()

    assert written.errors == {}
    rule = written.save()
    assert (rule.warning, rule.critical, rule.clear) == (0.9, 0.95, 0.88)
    assert (rule.for_s, rule.clear_for_s) == (300, 60)
    assert rule.matchers == [{"name": "mountpoint", "op": "=", "glob": "/data"}]


def test_it_is_shown_as_it_was_written() -> None:
    shown = RuleForm(instance=form().save())

    assert [
        shown[name].value() for name in ("warning", "clear", "for_s", "matchers")
    ] == [
        "90 %",
        "88 %",
        "5 min",
        "mountpoint=/data",
    ]


def test_a_size_is_typed_with_its_unit() -> None:
    said = {"metric": SIZE, "matchers": "", "critical": "", "clear": ""}

    assert form(**said, warning="5 GiB").save().warning == 5 * 2**30
    assert errors(**said, warning="5 %")["warning"] == [
        "“%” is not a unit of this metric; it takes B, KiB, MiB, GiB, TiB, PiB, kB, "
        "MB, GB, TB, PB, KB."
    ]


def test_metrics_are_those_that_the_fleet_reports() -> None:
    offered = [name for name, _ in form().fields["metric"].choices]  # type: ignore[attr-defined]

    assert {CPU, DISK, SIZE} <= set(offered)
    assert "metric" in errors(metric="made.up")


@pytest.mark.parametrize(
    ("said", "field", "sentence"),
    [
        ({"warning": "90"}, "warning", "Write “90” with its unit. Write it like 90 %."),
        (
            {"warning": "", "critical": "", "clear": ""},
            "warning",
            "Give a warning threshold, a critical one, or both.",
        ),
        (
            {"critical": "80 %"},
            "critical",
            "The critical threshold must be above the warning.",
        ),
        (
            {"clear": "92 %"},
            "clear",
            "It must clear at or below the threshold it fires at.",
        ),
        (
            {"aggregation": "avg"},
            "window_s",
            "The window must be between 10 s and 1 h.",
        ),
        (
            {"kind": "forecast", "clear": ""},
            "horizon_s",
            "The horizon must be between 1 h and 30 d.",
        ),
        ({"metric": ""}, "metric", "Choose the metric that this rule is about."),
        (
            {"matchers": "/data"},
            "matchers",
            "“/data” has no = sign; write it like mountpoint=/data or device!=loop*.",
        ),
        (
            {"scope": "tags"},
            "tags",
            "Choose at least one tag, or all machines.",
        ),
        (
            {"note": "look at {host}"},
            "note",
            "There is no placeholder {host}; there are {link}, {machine}, {peak}, "
            "{rule}, {series}, {severity}, {state}, {value}.",
        ),
        (
            {"runbook_url": "javascript:alert(1)"},
            "runbook_url",
            "The runbook must be an http:// or https:// address.",
        ),
        (
            {"runbook_url": "ftp://wiki/disks"},
            "runbook_url",
            "The runbook must be an http:// or https:// address.",
        ),
        (
            {"for_s": "soon"},
            "for_s",
            "“soon” is not a duration. Write it like 5 min or 2 h.",
        ),
        (
            {"operator": "eq", "clear": ""},
            "critical",
            "With = or ≠, give one threshold only.",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_a_sentence(
    said: dict[str, Any], field: str, sentence: str
) -> None:
    assert errors(**said)[field] == [sentence]


def test_a_silent_machine_needs_no_metric() -> None:
    rule = form(
        kind="down", metric="", matchers="", operator="gt",
        warning="", critical="12", clear="",
    ).save()  # fmt: skip

    assert (rule.metric, rule.critical, rule.operator) == ("", 12, "gte")
    assert "warning" in errors(kind="down", metric="", warning="2", critical="")


def test_changes_are_described_with_what_was_and_what_is() -> None:
    rule = form().save()
    rule.tags.add(Tag.objects.create(name="web"))
    said = SAID | {"critical": "97 %", "for_s": "10 min", "scope": "machines"}
    machine = Machine.objects.create(machine_id="db-1")

    changed = RuleForm(
        said | {"machines": [machine.pk]}, instance=Rule.objects.get(pk=rule.pk)
    )

    assert changed.is_valid()
    assert describe_changes(changed) == [
        "scope (all → machines)",
        "tags (web → \N{EN DASH})",
        "machines (\N{EN DASH} → db-1)",
        "critical (95 % → 97 %)",
        "for (5 min → 10 min)",
    ]


def test_nothing_changed_is_nothing_described() -> None:
    rule = form().save()

    again = RuleForm(SAID, instance=Rule.objects.get(pk=rule.pk))

    assert again.is_valid()
    assert describe_changes(again) == []
