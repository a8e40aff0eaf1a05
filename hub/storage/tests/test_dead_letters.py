"""A sample that the database refuses: set aside, counted, and tried again."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.db import DatabaseError, connection, transaction
from django.test import Client

from hub.machines.models import Machine
from hub.storage import dead_letters, raw
from hub.storage.account import account
from hub.storage.database import blames_a_row
from hub.storage.dead_letters import bury, try_again
from hub.storage.layouts import LayoutInfo
from hub.storage.models import Cursor, DeadLetter, Sample
from hub.storage.settle import Incoming
from hub.storage.tests.conftest import EPOCH, arriving, sample

POISON = 3

RAISE = {
    "sqlite": f"""
CREATE TRIGGER poison BEFORE INSERT ON storage_sample WHEN new.sequence = {POISON}
BEGIN SELECT RAISE(ABORT, 'this one is bad'); END
""",
    "postgresql": f"""
CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
IF NEW.sequence = {POISON} THEN RAISE EXCEPTION 'this one is bad'; END IF;
RETURN NEW; END $$;
CREATE TRIGGER poison BEFORE INSERT ON storage_sample
FOR EACH ROW EXECUTE FUNCTION poison();
""",
}
HEAL = {
    "sqlite": "DROP TRIGGER poison",
    "postgresql": "DROP TRIGGER poison ON storage_sample; DROP FUNCTION poison",
}


def run(statements: dict[str, str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statements[connection.vendor])


@pytest.fixture
def poisoned(machine: Machine, layout: LayoutInfo) -> list[Incoming]:
    """Eight samples are stored, one of which the database refuses."""
    run(RAISE)
    ticks = [sample(machine.pk, layout.id, n, n, 0, at_s=n) for n in range(1, 9)]
    batch = arriving(ticks)
    raw.write(batch[:2])
    bury(batch[2], "this one is bad")
    raw.write(batch[3:])
    return batch


def test_the_database_blames_a_row_and_not_itself(
    poisoned: list[Incoming], machine: Machine, layout: LayoutInfo
) -> None:
    bad = sample(machine.pk, layout.id, POISON, 1, 2)

    with pytest.raises(DatabaseError) as refused, transaction.atomic():
        raw.restore(bad)

    assert blames_a_row(refused.value)


def test_one_bad_sample_is_set_aside(poisoned: list[Incoming]) -> None:
    [letter] = DeadLetter.objects.all()

    assert (letter.sequence, bytes(letter.spool_epoch)) == (POISON, EPOCH)
    assert "this one is bad" in letter.reason


def test_the_cursor_passes_it_and_the_account_calls_it_refused(
    poisoned: list[Incoming], machine: Machine
) -> None:
    known = account(machine)

    assert known is not None
    assert (known.produced, known.stored, known.refused) == (8, 7, 1)
    assert known.is_settled


def test_tried_again_it_is_stored_and_counted_so(
    poisoned: list[Incoming], machine: Machine
) -> None:
    run(HEAL)

    stored, refused = try_again(DeadLetter.objects.all())

    assert (stored, refused) == (1, [])
    assert not DeadLetter.objects.exists()
    assert Sample.objects.filter(sequence=POISON).count() == 1
    cursor = Cursor.objects.get()
    assert (cursor.sequence, cursor.stored, cursor.refused) == (8, 8, 0)


def test_what_is_refused_again_stays(poisoned: list[Incoming]) -> None:
    stored, refused = try_again(DeadLetter.objects.all())

    assert stored == 0
    assert "this one is bad" in refused[0][1]
    assert DeadLetter.objects.count() == 1


def test_an_administrator_tries_again_from_the_list(
    poisoned: list[Incoming], admin_client: Client
) -> None:
    run(HEAL)
    [letter] = DeadLetter.objects.all()

    page = admin_client.post(
        "/admin/storage/deadletter/",
        {"action": "store_again", "_selected_action": [letter.pk]},
        follow=True,
    )

    assert "Stored: 1." in page.content.decode()
    assert Sample.objects.filter(sequence=POISON).exists()


def test_who_may_only_look_may_not_try_again(
    poisoned: list[Incoming], client: Client
) -> None:
    person = User.objects.create_user("looker", is_staff=True)
    person.user_permissions.add(Permission.objects.get(codename="view_deadletter"))
    client.force_login(person)

    page = client.get("/admin/storage/deadletter/")

    assert page.status_code == 200
    assert "store_again" not in page.content.decode()


def test_dead_letters_are_bounded(
    machine: Machine, layout: LayoutInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "KEPT", 2)

    for number in (1, 2, 3):
        [incoming] = arriving([sample(machine.pk, layout.id, number, 1, 2)])
        bury(incoming, "bad \0 text")

    kept = DeadLetter.objects.order_by("sequence")
    assert [(one.sequence, one.reason) for one in kept] == [
        (2, "bad ? text"),
        (3, "bad ? text"),
    ]
