from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hub.machines import clones
from hub.machines.clones import Cloned, Judgement, Sighting, judge
from hub.machines.models import Credential, Machine
from hub.people.models import AuditEntry

BEGAN = 1_772_366_400.0
A, B, C = "aa" * 16, "bb" * 16, "cc" * 16


def judged(*hellos: tuple[str, float, float]) -> Judgement:
    """Each is a spool, minutes since the beginning, and when it booted."""
    found = Judgement((), ())
    for epoch, minutes, booted in hellos:
        found = judge(found, Sighting(epoch, BEGAN + booted, BEGAN + 60 * minutes))
    return found


def test_an_agent_that_comes_back_as_it_was_is_itself() -> None:
    found = judged((A, 0, 0), (A, 1, 0), (A, 2, 0))

    assert found.sightings == (Sighting(A, BEGAN, BEGAN),)


@pytest.mark.parametrize(
    "hellos",
    [
        # A spool that was lost, or that memory forgets at each start.
        [(A, 0, 0), (B, 1, 0)],
        [(A, 0, 0), (B, 1, 0), (C, 2, 0), ("dd" * 16, 3, 0)],
        # One that was put back by hand.
        [(A, 0, 0), (B, 1, 0), (A, 2, 0)],
        # Boots of one machine.
        [(A, 0, 0), (A, 5, 300), (A, 9, 540)],
        # A clock that is set right, to and fro.
        [(A, 0, 0), (A, 1, 60), (A, 2, -20), (A, 3, 60), (A, 4, -20)],
        # Long ago.
        [(A, 0, 0), (B, 1, 0), (A, 100, 0), (B, 200, 0), (A, 300, 0)],
    ],
)
def test_what_one_agent_does_is_no_clone(
    hellos: list[tuple[str, float, float]],
) -> None:
    found = judged(*hellos)

    assert (found.is_clone, found.is_new, found.refused) == (False, False, ())


@pytest.mark.parametrize(
    "hellos",
    [
        [(A, 0, 0), (B, 1, 0), (A, 2, 0), (B, 3, 0)],
        # The first has been there for days.
        [(A, -9999, 0), (B, 1, 0), (A, 2, 0), (B, 3, 0)],
        # Three of them.
        [(A, 0, 0), (B, 1, 0), (C, 2, 0), (A, 3, 0), (B, 4, 0)],
        # The spool was copied as well: they booted at different times.
        [(A, 0, 0), (A, 1, 900), (A, 2, 0), (A, 3, 900)],
    ],
)
def test_two_that_take_turns_are_clones_and_the_later_is_refused(
    hellos: list[tuple[str, float, float]],
) -> None:
    found = judged(*hellos)

    assert found.is_new
    assert found.is_clone
    first, later = hellos[0], hellos[1]
    assert (found.sightings[0].epoch, found.sightings[0].booted_s - BEGAN) == (
        first[0],
        first[2],
    )
    assert found.refused[0].epoch == later[0]


def test_the_first_stays_welcome_also_after_its_next_boot() -> None:
    fight = [(A, 0, 0), (B, 1, 0), (A, 2, 0), (B, 3, 0)]

    first = judged(*fight, (A, 4, 0))
    booted = judged(*fight, (A, 5, 300))
    clone = judged(*fight, (A, 5, 300), (B, 6, 0))

    assert (first.is_clone, booted.is_clone, clone.is_clone) == (False, False, True)


def test_a_clone_that_changes_itself_is_found_again() -> None:
    fight = [(A, 0, 0), (B, 1, 0), (A, 2, 0), (B, 3, 0)]

    found = judged(*fight, (C, 4, 0), (A, 5, 0), (C, 6, 0))

    assert {one.epoch for one in found.refused} == {B, C}


def test_what_is_remembered_has_a_bound() -> None:
    found = judged(*((f"{number:032x}", 0.1 * number, 0) for number in range(100)))

    assert len(found.sightings) == clones.REMEMBERED


NOW = datetime.fromtimestamp(BEGAN, UTC)


@pytest.mark.django_db
def test_a_clone_is_flagged_and_cut_until_a_person_has_decided() -> None:
    machine = Machine.objects.create(machine_id="web-1")
    made = Credential.objects.create(machine=machine, digest="x")

    def hello(epoch: str, minute: int) -> bool:
        moment = NOW + timedelta(minutes=minute)
        return clones.see(made.pk, bytes.fromhex(epoch), 0, now=moment)

    assert [hello(A, 0), hello(B, 1), hello(A, 2)] == [True] * 3
    with pytest.raises(Cloned):
        hello(B, 3)
    assert hello(A, 4)
    with pytest.raises(Cloned):
        hello(B, 20)

    made.refresh_from_db()
    assert made.is_cloned
    assert made.clone_seen_at == NOW + timedelta(minutes=20)
    assert AuditEntry.objects.filter(action="credential.cloned").count() == 1

    clones.forget(made.pk, None)
    assert not Credential.objects.get(pk=made.pk).is_cloned
    assert hello(B, 21)


@pytest.mark.django_db
def test_a_credential_that_is_gone_is_no_clone() -> None:
    assert not clones.see(4711, b"x" * 16, 0, now=NOW)


@pytest.mark.django_db
def test_an_agent_that_comes_back_as_it_was_costs_one_question(
    django_assert_num_queries: object,
) -> None:
    machine = Machine.objects.create(machine_id="web-1")
    made = Credential.objects.create(machine=machine, digest="x")
    clones.see(made.pk, b"x" * 16, 0, now=NOW)

    with django_assert_num_queries(1):  # type: ignore[operator]
        clones.see(made.pk, b"x" * 16, 0, now=NOW + timedelta(hours=2))
