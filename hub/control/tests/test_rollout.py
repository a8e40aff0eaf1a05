"""A few machines first: then the others, or it stops and says why."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from hub.control import compile, edit, reports, rollout
from hub.control.edit import Stage, Unfit
from hub.control.models import AgentSettings, Rollout, Stand
from hub.control.tests.conftest import seen, silence_all
from hub.machines.models import Machine, Tag

pytestmark = pytest.mark.django_db

STAY_S = 60


@pytest.fixture
def settings(fleet: list[Machine], database_tag: Tag, ada: User) -> AgentSettings:
    found = edit.settings_of(database_tag)
    edit.save(found, {"interval_s": 10}, by=ada)
    for machine in fleet:
        agree(machine)
    return found


def agree(machine: Machine, *refused: str) -> None:
    """Let the machine's agent say that it applied what it should have."""
    version = compile.standings([machine.pk])[machine.pk].version
    reports.report(machine.pk, version, refused)


def intervals(machines: list[Machine]) -> list[float]:
    found = compile.standings([machine.pk for machine in machines])
    return [found[machine.pk].wanted["interval_s"] for machine in machines]


def tend(*, after_s: float = 0.0) -> Rollout:
    rollout.tend(timezone.now() + timedelta(seconds=after_s))
    return Rollout.objects.select_related("settings", "revision").latest("pk")


@pytest.fixture
def started(settings: AgentSettings, ada: User) -> Rollout:
    edit.save(
        settings, {"interval_s": 20}, by=ada, stage=Stage(machines=2, stay_s=STAY_S)
    )
    return Rollout.objects.get()


def test_the_first_are_online_and_the_others_keep_what_they_have(
    fleet: list[Machine], started: Rollout
) -> None:
    assert [one.machine_id for one in started.first.all()] == ["db-1", "db-2"]
    assert intervals(fleet) == [10, 20, 20, 10, 10]
    assert tend().state == "running"


def test_the_others_follow_when_the_first_stayed_well(
    fleet: list[Machine], started: Rollout
) -> None:
    for machine in fleet[1:3]:
        agree(machine)
    assert tend(after_s=STAY_S - 5).state == "running"
    assert intervals(fleet) == [10, 20, 20, 10, 10]

    found = tend(after_s=STAY_S + 5)

    assert (found.state, found.reason) == ("done", "The first 2 stayed well.")
    assert intervals(fleet) == [20, 20, 20, 20, 20]
    # The first need not apply it once more.
    standing = compile.standings([fleet[1].pk])[fleet[1].pk]
    assert standing.stand is Stand.APPLIED


def test_it_stops_when_one_refuses(fleet: list[Machine], started: Rollout) -> None:
    agree(fleet[1])
    agree(fleet[2], "The interval is too long for me.")

    found = tend(after_s=STAY_S + 5)

    assert found.state == "stopped"
    assert found.reason == "db-2 refused: The interval is too long for me."
    assert intervals(fleet) == [10, 20, 20, 10, 10]
    # Nothing goes on by itself from here.
    agree(fleet[2])
    assert tend(after_s=10 * STAY_S).state == "stopped"


def test_it_stops_when_one_goes_silent(fleet: list[Machine], started: Rollout) -> None:
    for machine in fleet[1:3]:
        agree(machine)
    silence_all()
    seen(fleet[1])
    seen(fleet[2], ago_s=120)

    found = tend()

    assert (found.state, found.reason) == ("stopped", "db-2 has gone silent.")


def test_it_stops_when_one_does_not_say_anything_about_it(
    fleet: list[Machine], started: Rollout
) -> None:
    agree(fleet[1])

    found = tend(after_s=rollout.APPLY_WITHIN_S + 1)

    assert found.state == "stopped"
    assert "db-2 did not say" in found.reason


@pytest.mark.parametrize("stopped", [False, True])
def test_a_person_may_go_on_or_undo(
    fleet: list[Machine], started: Rollout, *, stopped: bool
) -> None:
    if stopped:
        rollout.stop(started, "It looked wrong.")

    assert edit.undo(started, reason="By ada.")
    assert intervals(fleet) == [10, 10, 10, 10, 10]
    assert not edit.go_on(started, reason="By ada.")
    assert tend(after_s=10 * STAY_S).state == "undone"


def test_a_button_gives_it_to_the_others(
    fleet: list[Machine], started: Rollout
) -> None:
    rollout.stop(started, "It looked wrong.")

    assert edit.go_on(started, reason="By ada.")

    assert intervals(fleet) == [20, 20, 20, 20, 20]
    assert not edit.undo(started, reason="By ada.")


def test_a_later_revision_takes_its_place(
    fleet: list[Machine], settings: AgentSettings, started: Rollout, ada: User
) -> None:
    edit.save(settings, {"interval_s": 30}, by=ada, stage=Stage(machines=1))

    started.refresh_from_db()
    assert started.state == "replaced"
    # Those that were first before have what all have.
    assert intervals(fleet) == [10, 30, 10, 10, 10]
    edit.save(settings, {"interval_s": 10}, by=ada)
    assert intervals(fleet) == [10, 10, 10, 10, 10]


def test_a_share_is_rounded_up_and_nobody_online_is_said(
    fleet: list[Machine], settings: AgentSettings, ada: User
) -> None:
    assert [Stage(percent=percent).of(5) for percent in (1, 20, 21, 100)] == [
        1,
        1,
        2,
        5,
    ]
    silence_all()
    with pytest.raises(Unfit, match="None of its machines is online"):
        edit.save(settings, {"interval_s": 20}, by=ada, stage=Stage(machines=1))

    # Nothing of it is left behind.
    assert settings.revisions.count() == 1
    assert intervals(fleet) == [10, 10, 10, 10, 10]
