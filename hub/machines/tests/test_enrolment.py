from __future__ import annotations

import threading
import time
from datetime import timedelta
from queue import SimpleQueue

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connections
from django.utils import timezone

from hub.machines import credentials, enrolment
from hub.machines.enrolment import BadToken, Refused, enrol, make_token, revoke_token
from hub.machines.models import Credential, EnrolmentToken, Machine, Tag
from hub.people import secrets
from hub.people.models import AuditEntry
from hub.testing.patience import PATIENCE_S

pytestmark = pytest.mark.django_db

LATER = timedelta(hours=2)


def agents_secret() -> str:
    return secrets.make(credentials.PREFIX)


def refused(token: str, machine_id: str, secret: str) -> str:
    with pytest.raises(Refused) as told:
        enrol(token, machine_id, secret)
    return str(told.value)


def test_a_token_makes_an_agent_of_its_own() -> None:
    ada = User.objects.create_user("ada")
    tag = Tag.objects.create(name="production")
    token, kept = make_token(ada, name="rack 4", tags=[tag])
    secret = agents_secret()

    made = enrol(token, "web-1", secret, address="ipv4:192.0.2.7")

    kept.refresh_from_db()
    found = credentials.find(secret)
    assert made.machine.machine_id == "web-1"
    assert list(made.machine.tags.all()) == [tag]
    assert (found, kept.uses_left) == (made.credential, 0)
    entry = AuditEntry.objects.get(action="enrolment.done")
    assert (entry.by, entry.subject) == (ada, "web-1")
    assert entry.address == "ipv4:192.0.2.7"


def test_a_token_is_for_as_many_machines_as_it_says() -> None:
    token, _ = make_token(None, uses=2)

    names = [enrol(token, name, agents_secret()).machine.title for name in "ab"]

    assert names == ["a", "b"]
    assert refused(token, "c", agents_secret()) == enrolment.REFUSED


def test_the_same_question_gets_the_same_answer_for_an_answer_may_be_lost() -> None:
    token, _ = make_token(None)
    secret = agents_secret()

    first = enrol(token, "web-1", secret)
    again = enrol(token, "web-1", secret, now=timezone.now() + LATER)

    assert again == first
    assert (Machine.objects.count(), Credential.objects.count()) == (1, 1)


def test_each_wrong_token_is_refused_in_the_same_words() -> None:
    used, _ = make_token(None)
    enrol(used, "web-1", agents_secret())
    expired, old = make_token(None)
    EnrolmentToken.objects.filter(pk=old.pk).update(expires_at=timezone.now())
    revoked, gone = make_token(None)
    revoke_token(gone.pk, None)
    good, _ = make_token(None)
    deleted, lost = make_token(None)
    lost.delete()

    # The names of machines that exist and of one that does not.
    words = {
        refused(token, name, agents_secret())
        for token in (used, expired, revoked, deleted, "", "sme_", f"{good} ", "ü")
        for name in ("web-1", "web-2")
    }

    assert words == {enrolment.REFUSED}
    assert Machine.objects.count() == 1


@pytest.mark.parametrize("secret", ["", "sma_short", "x" * 47, "sma_" + "ü" * 43])
def test_a_secret_that_an_agent_did_not_make_is_refused(secret: str) -> None:
    token, kept = make_token(None)

    assert refused(token, "web-1", secret) == enrolment.REFUSED
    kept.refresh_from_db()
    assert kept.uses_left == 1


def test_a_secret_of_another_agent_is_refused() -> None:
    first, _ = make_token(None)
    second, _ = make_token(None)
    secret = agents_secret()
    enrol(first, "web-1", secret)

    assert refused(second, "web-1", secret) == enrolment.REFUSED
    assert Credential.objects.count() == 1


def test_a_name_that_is_taken_gets_a_number() -> None:
    Machine.objects.create(machine_id="web-1")
    token, _ = make_token(None, uses=3)

    names = [enrol(token, "web-1", agents_secret()).machine.machine_id for _ in "ab"]
    own = enrol(token, "_canary", agents_secret()).machine.machine_id

    assert names == ["web-1-2", "web-1-3"]
    assert own == "_canary-2"


def test_a_long_name_that_is_taken_stays_within_its_bounds() -> None:
    Machine.objects.create(machine_id="ü" * 64)
    token, _ = make_token(None)

    name = enrol(token, "ü" * 64, agents_secret()).machine.machine_id

    assert name == "ü" * 63 + "-2"


def test_a_token_for_one_machine_enrols_that_one_and_ends_its_old_credential() -> None:
    first, _ = make_token(None)
    old, new = agents_secret(), agents_secret()
    machine = enrol(first, "web-1", old).machine
    again, _ = make_token(None, machine=machine)

    made = enrol(again, "something-else", new)

    assert made.machine == machine
    assert credentials.find(old) is None
    assert credentials.find(new) == made.credential


def test_a_token_of_a_revoked_machine_opens_nothing() -> None:
    machine = Machine.objects.create(machine_id="web-1")
    token, _ = make_token(None, machine=machine)

    credentials.revoke(machine.pk, None)

    assert refused(token, "web-1", agents_secret()) == enrolment.REFUSED


@pytest.mark.parametrize(
    ("uses", "hours"), [(0, 1), (-1, 1), (1001, 1), (1, 0), (1, -1), (1, 24 * 31)]
)
def test_a_token_has_bounds(uses: int, hours: int) -> None:
    with pytest.raises(BadToken):
        make_token(None, uses=uses, lifetime=timedelta(hours=hours))

    machine = Machine.objects.create(machine_id="web-1")
    with pytest.raises(BadToken):
        make_token(None, machine=machine, uses=2)


def test_nothing_that_is_kept_opens_anything() -> None:
    token, kept = make_token(None)
    secret = agents_secret()
    made = enrol(token, "web-1", secret).credential

    stored = repr(EnrolmentToken.objects.values()) + repr(Credential.objects.values())
    said = repr(list(AuditEntry.objects.values()))
    assert token not in stored + said
    assert secret not in stored + said
    # Nor does the digest itself, as somebody with a copy of the database has it.
    assert refused(kept.digest, "web-2", agents_secret()) == enrolment.REFUSED
    assert credentials.find(made.digest) is None


@pytest.mark.django_db(transaction=True)
def test_a_thousand_at_once_with_a_token_for_one_make_one_agent() -> None:
    crowd: SimpleQueue[str] = SimpleQueue()
    token, kept = make_token(None)
    threads, tries = 8, 125
    gate = threading.Barrier(threads)

    def come() -> None:
        try:
            gate.wait(30)
            for _ in range(tries):
                crowd.put(_come_until_heard(token))
        finally:
            connections.close_all()

    _run_all([threading.Thread(target=come) for _ in range(threads)])
    said = [crowd.get_nowait() for _ in range(crowd.qsize())]

    kept.refresh_from_db()
    assert sorted(set(said)) == ["refused", "web-1"]
    assert (len(said), said.count("web-1")) == (1000, 1)
    assert (Machine.objects.count(), Credential.objects.count()) == (1, 1)
    assert kept.uses_left == 0


def _come_until_heard(token: str) -> str:
    ends_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            return enrol(token, "web-1", agents_secret()).machine.machine_id
        except Refused:
            return "refused"
        except OperationalError:
            # SQLite's lock goes to whoever asks at the right moment, not to whoever
            # has waited longest. An agent comes again.
            if time.monotonic() > ends_s:
                raise


@pytest.mark.django_db(transaction=True)
def test_agents_of_one_name_that_come_at_once_get_names_of_their_own() -> None:
    token, _ = make_token(None, uses=8)
    gate = threading.Barrier(8)

    def come() -> None:
        try:
            gate.wait(30)
            enrol(token, "web", agents_secret())
        finally:
            connections.close_all()

    _run_all([threading.Thread(target=come) for _ in range(8)])

    names = set(Machine.objects.values_list("machine_id", flat=True))
    assert names == {"web", *(f"web-{number}" for number in range(2, 9))}


def _run_all(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
