"""Secrets that the hub was told are in no table and in no line of its log."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest
from allauth.mfa.totp.internal import auth
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from hub import log
from hub.alerts.models import Contact
from hub.machines import enrolment
from hub.people import secrets, tokens
from hub.people.signin import make_link

pytestmark = [pytest.mark.django_db, pytest.mark.embedded_only]

PASSWORD = "canary-password-4711"
HOOK = "https://hooks.example/canary-path-4711"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Everything that is logged, as it would stand in the log."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(log._formatter(console=False))
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield written
    root.removeHandler(handler)
    root.setLevel(before)


def tables() -> str:
    """Return every row of every table, as text."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            found += [repr(row) for row in cursor.fetchall()]
    return "\n".join(found)


def code(secret: str) -> str:
    counter = next(iter(auth.yield_hotp_counters_from_time()))
    return str(auth.format_hotp_value(auth.hotp_value(secret, counter)))


def test_a_secret_that_was_told_is_found_nowhere(lines: io.StringIO) -> None:
    owner = User.objects.create_superuser("owner")
    link = make_link(owner).rpartition("/")[2]
    client = Client(enforce_csrf_checks=True)
    # Refused, and so written down with the address: the link still works.
    client.head(f"/sign-in/link/{link}")
    client.post(f"/sign-in/link/{link}")
    client.get(f"/sign-in/link/{link}", headers={"Sec-Fetch-Site": "none"})
    client.handler.enforce_csrf_checks = False
    client.post("/you/password", {"new": PASSWORD})
    api = client.post("/you/tokens", {"name": "x", "scope": "operate"}).context[
        "secret"
    ]
    totp = client.post("/you/second-factor").context["offer"].secret
    codes = client.post("/you/second-factor", {"code": code(totp)}).context["codes"]
    Client().post("/sign-in/", {"username": "owner", "password": PASSWORD})
    Client().post("/sign-in/", {"username": PASSWORD, "password": "owner"})
    bearer = {"Authorization": f"Bearer {api}"}
    Client().get("/api/machines", headers=bearer)
    Client().get(f"/api/machines/{api}/metrics", headers=bearer)
    Client().get("/nothing", {"token": api})
    enrolling, _ = enrolment.make_token(owner)
    agent = secrets.make("sma_")
    enrolment.enrol(enrolling, "web", agent, address="192.0.2.7")
    tokens.find(agent)
    contact = Contact(name="ops", kind="webhook")
    contact.reach(HOOK)
    contact.save()
    try:
        raise RuntimeError(f"a library says {enrolling} and {agent}")
    except RuntimeError:
        logging.getLogger("elsewhere").exception("it broke")

    told = [link, api, totp, enrolling, agent, PASSWORD, "canary-path-4711", *codes]
    told += [settings.SECRET_KEY, client.session.session_key or "there is none"]
    assert len(told) > 15
    kept, said = tables(), lines.getvalue()
    assert "owner" in kept
    assert "/sign-in/link/…" in said
    assert [one for one in told if one in kept] == []
    assert [one for one in told if one in said] == []


@pytest.mark.parametrize(
    ("said", "logged"),
    [
        ("Gone: /sign-in/link/abcDEF_-0123456789", "Gone: /sign-in/link/…"),
        ("Bearer smt_abcDEF_-0123456789 is wrong", "Bearer smt_… is wrong"),
        ("sma_abcDEF_-0123456789", "sma_…"),
        ("sme_abcDEF_-0123456789.", "sme_…."),
        ("a plasma_thing and some_words stay", "a plasma_thing and some_words stay"),
    ],
)
def test_what_lets_somebody_in_is_left_out(
    said: str, logged: str, lines: io.StringIO
) -> None:
    logging.getLogger("elsewhere").warning(said)

    assert logged.encode("ascii", "backslashreplace").decode() in lines.getvalue() or (
        logged in lines.getvalue()
    )
