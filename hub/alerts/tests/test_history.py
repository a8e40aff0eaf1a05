from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User

from hub.alerts.history import BadKey, Filter, page
from hub.alerts.models import Alert, Rule
from hub.machines.models import Machine
from hub.machines.registry import CANARY

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def ada() -> User:
    return User.objects.create_user("ada")


def opened(
    name: str,
    machine: Machine | None,
    minutes: float = 0,
    *,
    state: str = "firing",
    severity: str = "warning",
    **more: object,
) -> Alert:
    at = NOON + timedelta(minutes=minutes)
    return Alert.objects.create(
        snapshot={"name": name},
        machine=machine,
        machine_title=machine.title if machine else "gone",
        series_key=f"{name}{minutes}",
        state=state,
        severity=severity,
        peak_severity=severity,
        opened_at=at,
        changed_at=at,
        **more,
    )


def titles(ada: User, **asked: object) -> list[str]:
    found = page(ada, Filter(**asked))  # type: ignore[arg-type]
    return [alert.rule_name for alert in found.alerts]


def test_pages_follow_each_other_without_a_hole_or_a_repeat(ada: User) -> None:
    web = Machine.objects.create(machine_id="web")
    # Two of them opened in the same instant.
    made = [opened(f"rule {n}", web, minutes=n // 2) for n in range(7)]
    seen: list[int] = []

    first = page(ada, Filter(), size=3)
    # What opens meanwhile moves nothing.
    opened("new", web, minutes=99)
    second = page(ada, Filter(), after=first.after, size=3)
    third = page(ada, Filter(), after=second.after, size=3)

    seen = [one.pk for one in (*first.alerts, *second.alerts, *third.alerts)]
    assert seen == [one.pk for one in reversed(made)]
    assert third.after == ""


@pytest.mark.parametrize("key", ["nonsense", "2026-05-01_x", "2026-05-01T12:00:00_3"])
def test_a_key_that_no_page_gave_is_refused(key: str, ada: User) -> None:
    with pytest.raises(BadKey):
        page(ada, Filter(), after=key)


def test_each_field_of_the_filter_narrows(ada: User) -> None:
    web = Machine.objects.create(machine_id="web-1", name="Shop")
    nas = Machine.objects.create(machine_id="nas")
    rule = Rule.objects.create(name="of the rule")
    opened("disk", web, 3, severity="critical", attributes={"mount": "/data"})
    opened("memory", nas, 2, state="resolved", acknowledged_note="swapped a stick")
    opened("heat", nas, 1, rule=rule, metric="system.temperature")

    assert titles(ada) == ["disk", "memory", "heat"]
    assert titles(ada, state="resolved") == ["memory"]
    assert titles(ada, severity="critical") == ["disk"]
    assert titles(ada, machine="nas") == ["memory", "heat"]
    assert titles(ada, rule=rule.pk) == ["heat"]
    for text in ("SHOP", "web-1 disk", "/data", "mount"):
        assert titles(ada, text=text) == ["disk"]
    assert titles(ada, text="stick") == ["memory"]
    assert titles(ada, text="temperature") == ["heat"]
    assert titles(ada, text="disk nas") == []
    assert titles(ada, text="\0%_'\"") == []


def test_what_is_over_is_found_by_the_worst_that_it_was(ada: User) -> None:
    web = Machine.objects.create(machine_id="web")
    over = opened("over", web, state="resolved")
    over.peak_severity = "critical"
    over.save()
    opened("eased", web, 1, severity="warning", rule=None)

    assert titles(ada, severity="critical") == ["over"]


def test_what_one_may_not_see_is_not_found_and_the_removed_stay(ada: User) -> None:
    opened("hidden", Machine.objects.create(machine_id=CANARY))
    opened("removed", None, 1)

    assert titles(ada) == ["removed"]
