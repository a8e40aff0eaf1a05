"""The way in: passwords, codes, how often one may try."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.mfa.totp.internal import auth
from django.contrib.auth.models import Group, User
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from hub.people import second
from hub.people.models import AuditEntry
from hub.people.roles import Role
from hub.people.signin import make_link

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse"
TYPED = {"Sec-Fetch-Site": "none"}


def say(client: Client, name: str, password: str, **more: Any) -> HttpResponse:
    told = {"username": name, "password": password, **more}
    return client.post("/sign-in/", told)  # type: ignore[return-value]


def is_in(client: Client) -> bool:
    return client.get("/you/").status_code == 200


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The time of the codes, moved by hand."""
    now = [1_763_640_000]
    monkeypatch.setattr(auth.time, "time", lambda: now[0])
    return now


def code(secret: str) -> str:
    counter = list(auth.yield_hotp_counters_from_time())[1]
    return str(auth.format_hotp_value(auth.hotp_value(secret, counter)))


@pytest.fixture
def secret(user: User, clock: list[int]) -> str:
    """Ada has a second factor."""
    secret = second.new_secret()
    second.turn_on(user, secret, code(secret))
    clock[0] += 90
    return secret


@pytest.fixture
def administrator(user: User) -> User:
    name = Role.ADMINISTRATOR.value
    user.groups.add(Group.objects.get_or_create(name=name)[0])
    return user


def test_passwords_are_kept_by_the_strongest_hasher(user: User) -> None:
    assert user.password.startswith("argon2$argon2id$")


def test_an_old_hash_is_renewed_when_its_person_signs_in(user: User) -> None:
    from django.contrib.auth.hashers import make_password

    user.password = make_password(PASSWORD, hasher="pbkdf2_sha256")
    user.save()

    say(Client(), "ada", PASSWORD)

    user.refresh_from_db()
    assert user.password.startswith("argon2$")


def test_unknown_people_and_wrong_passwords_get_the_same_answer(user: User) -> None:
    User.objects.create_user("gone", password=PASSWORD, is_active=False)
    User.objects.create_user("linked")
    tries = {
        name: say(Client(), name, password)
        for name, password in {
            "ada": "wrong",
            "nobody": "wrong",
            "gone": PASSWORD,
            "linked": "",
        }.items()
    }

    def told(name: str) -> str:
        html = tries[name].content.decode()
        lines = [line for line in html.splitlines() if "csrf" not in line]
        return "\n".join(lines).replace(name, "…")

    assert {answer.status_code for answer in tries.values()} == {200}
    assert {told(name) for name in tries} == {told("nobody")}


def test_many_tries_are_answered_alike_for_everybody(user: User) -> None:
    statuses = {
        name: [say(Client(), name, "wrong").status_code for _ in range(12)]
        for name in ("ada", "nobody")
    }

    assert statuses["ada"] == statuses["nobody"] == [200] * 10 + [429] * 2
    # Also with the right password: who guesses does not learn that it was.
    client = Client()
    assert say(client, "ADA", PASSWORD).status_code == 429
    assert not is_in(client)


def test_somebody_else_is_not_kept_out_by_it(user: User) -> None:
    for _ in range(11):
        say(Client(), "ada", "wrong")
    elsewhere = Client(REMOTE_ADDR="192.0.2.7")

    assert say(elsewhere, "ada", PASSWORD).status_code == 302


def test_one_address_may_not_try_everybody(user: User) -> None:
    statuses = [say(Client(), f"person{n}", "x").status_code for n in range(51)]

    assert statuses == [200] * 50 + [429]


def test_a_link_lets_in_whoever_may_not_try_any_more(user: User) -> None:
    for _ in range(11):
        say(Client(), "ada", "wrong")
    client = Client()

    client.get(make_link(user), headers=TYPED)

    assert is_in(client)


def test_what_happens_at_the_door_is_written_down(user: User) -> None:
    say(Client(), "ada", "wrong")
    say(Client(), "my secret password", "ada")
    client = Client(headers={"User-Agent": "a browser"})
    say(client, "ada", PASSWORD)
    client.post("/sign-out/")

    entries = [
        (one.action, one.subject, one.by_name, one.address)
        for one in AuditEntry.objects.order_by("pk")
    ]
    assert entries == [
        ("sign_in.failed", "ada", "", "127.0.0.1"),
        # Whoever types a password for a name does not find it in the log.
        ("sign_in.failed", "", "", "127.0.0.1"),
        ("sign_in", "ada", "ada", "127.0.0.1"),
        ("sign_out", "ada", "ada", "127.0.0.1"),
    ]


def test_a_session_from_before_is_not_the_one_after(user: User) -> None:
    client = Client()
    client.get("/sign-in/provider/")
    session = client.session
    session["planted"] = True
    session.save()
    before = session.session_key

    say(client, "ada", PASSWORD)

    assert client.session.session_key != before


def test_cookies_are_for_the_hub_s_own_pages_only(
    user: User, settings: Settings
) -> None:
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    client = Client()
    client.get("/sign-in/")

    say(client, "ada", PASSWORD)

    kept = {name: client.cookies[name] for name in client.cookies}
    assert sorted(kept) == ["sysmonstm_csrf", "sysmonstm_session"]
    for cookie in kept.values():
        assert cookie["httponly"]
        assert cookie["secure"]
        assert cookie["samesite"] == "Lax"


# -- the second factor


def test_a_password_alone_lets_nobody_in_who_has_a_second_factor(
    user: User, secret: str
) -> None:
    client = Client()

    answer = say(client, "ada", PASSWORD, next="/alerts/")

    assert answer["Location"] == "/sign-in/code"
    assert not is_in(client)
    assert client.get("/api/machines").status_code == 401
    done = client.post("/sign-in/code", {"code": code(secret)})
    assert done["Location"] == "/alerts/"
    assert is_in(client)


def test_a_recovery_code_does_instead(user: User) -> None:
    secret = second.new_secret()
    codes = second.turn_on(user, secret, code(secret)) or []
    client = Client()
    say(client, "ada", PASSWORD)

    client.post("/sign-in/code", {"code": codes[0]})

    assert is_in(client)


def test_codes_are_not_guessed(user: User, secret: str) -> None:
    client = Client()
    say(client, "ada", PASSWORD)

    statuses = [
        client.post("/sign-in/code", {"code": "000000"}).status_code for _ in range(11)
    ]

    assert statuses == [200] * 10 + [429]
    assert client.post("/sign-in/code", {"code": code(secret)}).status_code == 429
    assert not is_in(client)


def test_without_a_password_nobody_gets_to_the_codes(user: User, secret: str) -> None:
    client = Client()

    answer = client.post("/sign-in/code", {"code": code(secret)})

    assert answer["Location"] == "/sign-in/?problem=late"
    assert not is_in(client)


def test_a_code_comes_too_late_or_after_another_password(
    user: User, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, changed = Client(), Client()
    say(changed, "ada", PASSWORD)
    user.set_password("another one entirely")
    user.save()
    say(late, "ada", "another one entirely")
    session = late.session
    session["half_in"] = {**session["half_in"], "at": session["half_in"]["at"] - 601}
    session.save()

    for client in (late, changed):
        answer = client.post("/sign-in/code", {"code": code(secret)})
        assert answer["Location"] == "/sign-in/?problem=late"
        assert not is_in(client)


def test_a_link_of_the_console_asks_for_no_code(user: User, secret: str) -> None:
    client = Client()

    client.get(make_link(user), headers=TYPED)

    assert is_in(client)


def test_an_administrator_sets_one_up_at_the_door(
    administrator: User, clock: list[int], settings: Settings
) -> None:
    settings.REQUIRE_ADMIN_2FA = True
    client = Client()

    answer = say(client, "ada", PASSWORD)

    assert answer["Location"] == "/sign-in/set-up"
    page = client.get("/sign-in/set-up")
    assert not is_in(client)
    offered = page.context["offer"].secret
    assert offered in page.content.decode()
    wrong = client.post("/sign-in/set-up", {"code": "000000"})
    assert "does not fit" in wrong.content.decode()
    assert wrong.context["offer"].secret == offered
    done = client.post("/sign-in/set-up", {"code": code(offered)})
    assert len(done.context["codes"]) == 10
    assert is_in(client)
    clock[0] += 90
    assert say(Client(), "ada", PASSWORD)["Location"] == "/sign-in/code"


def test_a_viewer_needs_none(user: User, settings: Settings) -> None:
    settings.REQUIRE_ADMIN_2FA = True

    assert say(Client(), "ada", PASSWORD)["Location"] == "/"


def test_the_owner_of_a_new_hub_is_not_locked_out(
    administrator: User, settings: Settings
) -> None:
    settings.REQUIRE_ADMIN_2FA = True
    client = Client()

    client.get(make_link(administrator), headers=TYPED)

    assert is_in(client)


def test_the_admin_has_no_door_of_its_own(user: User, secret: str) -> None:
    User.objects.update(is_superuser=True, is_staff=True)
    client = Client()
    told = {"username": "ada", "password": PASSWORD}

    answer = client.post("/admin/login/?next=/admin/", told)

    assert answer["Location"] == "/sign-in/?next=%2Fadmin%2F"
    assert not is_in(client)
