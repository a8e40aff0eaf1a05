from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from hub.machines import credentials
from hub.machines.credentials import OVERLAP, NotTaken, find, revoke, rotate
from hub.machines.models import Credential, Machine
from hub.machines.registry import NotIts, spoken_for
from hub.people import secrets
from hub.people.models import AuditEntry

pytestmark = pytest.mark.django_db

OLD, NEW, NEWER = ("sma_" + letter * 43 for letter in "abc")
NOW = timezone.now()


@pytest.fixture
def credential() -> Credential:
    machine = Machine.objects.create(machine_id="web-1")
    return Credential.objects.create(machine=machine, digest=secrets.digest(OLD))


def test_a_secret_finds_its_machine(credential: Credential) -> None:
    assert find(OLD) == credential
    assert [find(text) for text in ("", NEW, OLD + " ", OLD.upper())] == [None] * 4


def test_the_old_secret_goes_on_for_ten_minutes_and_then_never(
    credential: Credential,
) -> None:
    until = rotate(credential.pk, NEW, now=NOW)

    just_before, just_after = until - timedelta(seconds=1), until
    assert until == NOW + timedelta(minutes=10)
    assert find(OLD, now=just_before) == find(NEW, now=just_before) == credential
    assert find(OLD, now=just_after) is None
    assert find(NEW, now=just_after) == credential


def test_a_rotation_whose_answer_was_lost_is_asked_for_again(
    credential: Credential,
) -> None:
    until = rotate(credential.pk, NEW, now=NOW)

    later = NOW + timedelta(minutes=5)
    by_old = rotate(credential.pk, NEW, by=OLD, now=later)
    by_new = rotate(credential.pk, NEW, now=later)

    # And nothing lengthens the time of the one before.
    assert by_old == by_new == until
    assert find(OLD, now=NOW + OVERLAP) is None


def test_the_replaced_secret_cannot_take_the_credential_over(
    credential: Credential,
) -> None:
    rotate(credential.pk, NEW, now=NOW)

    with pytest.raises(NotTaken):
        rotate(credential.pk, NEWER, by=OLD, now=NOW)

    assert find(NEW, now=NOW) == credential
    assert find(NEWER, now=NOW) is None


def test_a_second_rotation_ends_the_first_ones_old_secret_at_once(
    credential: Credential,
) -> None:
    rotate(credential.pk, NEW, now=NOW)
    rotate(credential.pk, NEWER, now=NOW)

    assert find(OLD, now=NOW) is None
    assert find(NEW, now=NOW) == find(NEWER, now=NOW) == credential


@pytest.mark.parametrize("wanted", ["", "sma_x", NEW + "=", OLD])
def test_a_secret_that_is_no_new_one_is_not_taken(
    credential: Credential, wanted: str
) -> None:
    other = Machine.objects.create(machine_id="web-2")
    Credential.objects.create(machine=other, digest=secrets.digest(NEW))

    if wanted == OLD:
        # It has it already; nothing changes.
        rotate(credential.pk, OLD, now=NOW)
        wanted = NEW
    with pytest.raises(NotTaken):
        rotate(credential.pk, wanted, now=NOW)

    assert find(OLD) == credential


def test_a_secret_that_was_once_anothers_is_not_taken(credential: Credential) -> None:
    other = Machine.objects.create(machine_id="web-2")
    known = Credential.objects.create(machine=other, digest=secrets.digest(NEW))
    rotate(known.pk, NEWER, now=NOW)

    with pytest.raises(NotTaken):
        rotate(credential.pk, NEW, now=NOW)


def test_revoked_is_revoked_with_both_secrets(credential: Credential) -> None:
    ada = User.objects.create_user("ada")
    rotate(credential.pk, NEW, now=NOW)

    revoke(credential.machine.pk, ada, address="192.0.2.7")

    assert find(OLD, now=NOW) is find(NEW, now=NOW) is None
    with pytest.raises(NotTaken):
        rotate(credential.pk, NEWER)
    entry = AuditEntry.objects.get(action="credential.revoked")
    assert (entry.by, entry.subject, entry.address) == (ada, "web-1", "192.0.2.7")


def test_who_has_a_credential_is_spoken_for_with_it_alone(
    credential: Credential,
) -> None:
    free = Machine.objects.create(machine_id="free")

    assert spoken_for("web-1", credential.pk) == credential.machine
    assert spoken_for("free", 0) == free
    assert spoken_for("unknown", 0) is None
    for _ in range(2):
        with pytest.raises(NotIts):
            spoken_for("web-1", 0)
        # Not even when it is revoked: it would come back by another door.
        revoke(credential.machine.pk, None)


def test_every_change_moves_the_tide(credential: Credential) -> None:
    seen = [credentials.tide()]

    def moved() -> bool:
        seen.append(credentials.tide())
        return seen[-1] not in seen[:-1]

    assert not moved()
    other = Machine.objects.create(machine_id="web-2")
    made = Credential.objects.create(machine=other, digest=secrets.digest(NEWER))
    assert moved()
    rotate(credential.pk, NEW)
    assert moved()
    revoke(other.pk, None)
    assert moved()
    made.machine.delete()
    assert moved()


def test_what_still_opens_something_is_told_by_digest(credential: Credential) -> None:
    rotate(credential.pk, NEW, now=NOW)

    still = credentials.still([credential.pk], now=NOW)
    later = credentials.still([credential.pk], now=NOW + OVERLAP)

    assert set(still) == {secrets.digest(OLD), secrets.digest(NEW)}
    assert still[secrets.digest(OLD)].until == NOW + OVERLAP
    assert set(later) == {secrets.digest(NEW)}
    revoke(credential.machine.pk, None)
    assert credentials.still([credential.pk]) == {}


def test_last_used_is_written_once_an_hour(credential: Credential) -> None:
    credentials.touch([credential.pk], now=NOW)
    credentials.touch([credential.pk], now=NOW + timedelta(minutes=59))
    credential.refresh_from_db()
    first = credential.last_used_at
    credentials.touch([credential.pk], now=NOW + timedelta(hours=1))
    credential.refresh_from_db()

    assert (first, credential.last_used_at) == (NOW, NOW + timedelta(hours=1))
