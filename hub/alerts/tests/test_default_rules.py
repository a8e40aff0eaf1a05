"""Default rules over what collectors send: no condition had to be written for it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from hub.alerts.defaults import DEFAULTS
from hub.alerts.models import Rule
from hub.alerts.tests.world import World, open_alerts
from hub.storage import layouts
from hub.storage.layouts import SeriesInfo

pytestmark = pytest.mark.django_db

WEB = {"container.name": "web"}
DISK = {"hw.id": "sda", "hw.name": "ST4000DM004", "hw.type": "physical_disk"}


@pytest.mark.parametrize("slug", DEFAULTS)
def test_every_default_rule_is_one_that_a_person_could_have_saved(slug: str) -> None:
    # The name is taken already: by that rule itself.
    Rule(**DEFAULTS[slug]).full_clean(exclude=["name"])


def play(world: World, slug: str, series: SeriesInfo, values: Sequence[float]) -> None:
    """Switch a rule on and let a machine send a value every 15 s."""
    rule = {**DEFAULTS[slug], "enabled": True}
    machine = world.machine()
    Rule.objects.create(**rule)
    layout = layouts.learn([series])
    world.turn(rules_changed=True)
    for value in values:
        world.now_ms += 15_000
        world.turn(world.sample(machine, value, layout=layout))


def info(metric: str, unit: str, **told: str) -> SeriesInfo:
    return SeriesInfo(metric, unit, "gauge", "", tuple(sorted(told.items())))


@pytest.mark.parametrize(
    ("slug", "series", "values", "said"),
    [
        (
            "container-unhealthy",
            info("container.unhealthy", "1", **WEB),
            [0, *[1] * 10],
            ["warning"],
        ),
        ("container-unhealthy", info("container.unhealthy", "1", **WEB), [0, 1, 0], []),
        (
            "container-restarts",
            info("container.restarts", "{restart}", **WEB),
            [*[4] * 55, 5, 6, 7, 7],
            ["warning"],
        ),
        (
            "container-restarts",
            info("container.restarts", "{restart}", **WEB),
            [*[4] * 55, 5, 5, 5, 5],
            [],
        ),
        (
            "unit-failed",
            info("systemd.unit.failed", "1", **{"systemd.unit.name": "backup.service"}),
            [0, *[1] * 6],
            ["warning"],
        ),
        (
            "disk-failing",
            info("hw.status", "1", **DISK, **{"hw.state": "predicted_failure"}),
            [0, 1],
            ["critical"],
        ),
        (
            "disk-failing",
            info("hw.status", "1", **DISK, **{"hw.state": "ok"}),
            [0, 1],
            [],
        ),
    ],
)
def test_what_goes_wrong_is_told(
    world: World, slug: str, series: SeriesInfo, values: list[float], said: list[str]
) -> None:
    play(world, slug, series, values)

    assert [alert.severity for alert in open_alerts()] == said
    assert all(dict(series.attributes) == a.attributes for a in open_alerts())
