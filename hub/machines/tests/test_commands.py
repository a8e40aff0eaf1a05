from __future__ import annotations

from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from hub.machines import authority, clones, credentials, enrolment, tasks
from hub.machines.models import Credential, EnrolmentToken, Machine, Tag
from hub.people import secrets

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_folder(settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    settings.GRPC_TLS = "on"


def run(*argv: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command(*argv, stdout=out, stderr=err)
    return out.getvalue().strip(), err.getvalue()


def enrolled(name: str = "web-1") -> Credential:
    token, _ = enrolment.make_token(None)
    return enrolment.enrol(token, name, secrets.make("sma_")).credential


def test_a_token_is_said_once_and_the_fingerprint_with_it() -> None:
    Tag.objects.create(name="production")

    command = ("enroltoken", "create", "rack 4", "--tag", "production", "--uses", "3")
    secret, said = run(*command, "--hours", "2")

    token = EnrolmentToken.objects.get()
    assert enrolment.enrol(secret, "a", secrets.make("sma_")).machine.tags.count() == 1
    assert (token.name, token.uses_left) == ("rack 4", 3)
    assert timedelta(hours=1.9) < token.expires_at - timezone.now()
    assert authority.fingerprint() in said


@pytest.mark.parametrize(
    "wrong",
    [
        ["--tag", "nothing"],
        ["--machine", "nobody"],
        ["--uses", "0"],
        ["--hours", "0"],
        ["--hours", "1e300"],
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(wrong: list[str]) -> None:
    with pytest.raises(CommandError):
        run("enroltoken", "create", *wrong)

    assert not EnrolmentToken.objects.exists()


def test_the_list_shows_what_still_opens_something_and_never_a_secret() -> None:
    secret, _ = run("enroltoken", "create", "new")
    enrolled()

    listed, _ = run("enroltoken", "list")

    [line] = listed.splitlines()
    token = EnrolmentToken.objects.get(name="new")
    assert line.startswith(f"{token.pk}  new  uses=1 by=manage.py")
    assert secret not in listed
    assert token.digest not in listed

    run("enroltoken", "revoke", str(token.pk))
    assert run("enroltoken", "list") == ("", "")
    with pytest.raises(CommandError):
        run("enroltoken", "revoke", str(token.pk))


def test_a_machine_is_revoked_by_its_name() -> None:
    credential = enrolled()

    assert run("agents", "revoke", "web-1") == ("Revoked web-1.", "")

    credential.refresh_from_db()
    assert not credential.is_live
    for name in ("web-1", "nobody"):
        with pytest.raises(CommandError):
            run("agents", "revoke", name)


def test_a_clone_is_settled_by_its_name() -> None:
    credential = enrolled()
    Credential.objects.filter(pk=credential.pk).update(
        clone_seen_at=timezone.now(), refused=[["aa", 0.0, 0.0]]
    )
    assert run("agents", "list")[0].startswith("web-1  cloned since=")

    run("agents", "trust", "web-1")

    assert run("agents", "list")[0].startswith("web-1  live since=")
    assert clones.see(credential.pk, b"\xaa", 0, now=timezone.now())


def test_tokens_that_are_long_over_are_forgotten_and_agents_are_not() -> None:
    credential = enrolled()
    over = timezone.now() - timedelta(days=31)
    EnrolmentToken.objects.update(expires_at=over)
    enrolment.make_token(None)
    machine = Machine.objects.get()

    assert tasks.forget(timezone.now()) == 1
    assert EnrolmentToken.objects.count() == 1
    assert credentials.newest(machine.pk) == credential
