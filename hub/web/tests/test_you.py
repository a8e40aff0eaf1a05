"""One's own account."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from allauth.mfa.totp.internal import auth
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from hub.machines.models import Sight, Tag
from hub.people import second, tokens
from hub.people.models import ApiToken, AuditEntry
from hub.people.signin import make_link

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse"
NEW = "a longer and better one"


@pytest.fixture
def client(user: User) -> Client:
    """Ada, who typed her password."""
    client = Client(headers={"User-Agent": "Firefox on her desk"})
    client.post("/sign-in/", {"username": "ada", "password": PASSWORD})
    return client


@pytest.fixture
def by_link(user: User) -> Client:
    client = Client()
    client.get(make_link(user), headers={"Sec-Fetch-Site": "none"})
    return client


def is_in(client: Client) -> bool:
    return client.get("/you/").status_code == 200


def html(answer: Any) -> str:
    return str(answer.content.decode())


def code(secret: str, later: int = 0) -> str:
    counter = list(auth.yield_hotp_counters_from_time())[1] + later
    return str(auth.format_hotp_value(auth.hotp_value(secret, counter)))


def test_it_says_who_one_is_and_what_one_sees(client: Client, user: User) -> None:
    assert "ada · viewer" in html(client.get("/you/")).replace("\n", " ")

    limit = Sight.objects.create(user=user)
    assert "sees no machines" in html(client.get("/you/"))
    limit.tags.add(Tag.objects.create(name="shop"))

    assert 'tagged <span class="tag">shop</span>' in html(client.get("/you/"))


# -- password


def test_a_new_password_ends_the_other_sessions(client: Client, user: User) -> None:
    other = Client()
    other.force_login(user)

    answer = client.post("/you/password", {"old": PASSWORD, "new": NEW})

    assert answer["Location"] == "/you/"
    assert is_in(client)
    assert not is_in(other)
    user.refresh_from_db()
    assert user.check_password(NEW)
    assert AuditEntry.objects.filter(action="password.changed", by=user).exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("wrong", NEW, "another one"),
        (PASSWORD, "short", "too short"),
        (PASSWORD, "12345678901", "numeric"),
        (PASSWORD, "password1234", "common"),
    ],
)
def test_a_password_is_judged(
    client: Client, user: User, old: str, new: str, said: str
) -> None:
    answer = client.post("/you/password", {"old": old, "new": new})

    assert said in html(answer)
    user.refresh_from_db()
    assert user.check_password(PASSWORD)


def test_the_old_password_is_not_guessed_here_either(client: Client) -> None:
    statuses = [
        client.post("/you/password", {"old": "x", "new": NEW}).status_code
        for _ in range(10)
    ]

    # The sign-in was the first of ten.
    assert statuses == [200] * 9 + [429]


def test_by_a_link_one_chooses_a_password_without_the_old_one(
    by_link: Client, user: User
) -> None:
    assert "Present password" not in html(by_link.get("/you/"))

    by_link.post("/you/password", {"new": NEW})

    user.refresh_from_db()
    assert user.check_password(NEW)


# -- second factor


def test_a_second_factor_is_set_up_and_used(client: Client, user: User) -> None:
    offered = client.post("/you/second-factor").context["offer"]
    assert offered.picture.startswith("data:image/svg+xml,")
    wrong = client.post("/you/second-factor", {"code": "000000"})
    assert wrong.context["offer"].secret == offered.secret
    assert not second.is_on(user)

    done = client.post("/you/second-factor", {"code": code(offered.secret)})

    assert len(done.context["codes"]) == 10
    assert second.is_on(user)
    assert "10 recovery codes left" in html(client.get("/you/"))
    kept = client.session.items()
    assert offered.secret not in str(dict(kept))


def test_it_is_turned_off_with_a_code_only(client: Client, user: User) -> None:
    secret = second.new_secret()
    second.turn_on(user, secret, code(secret))

    refused = client.post("/you/second-factor/off", {"code": "000000"})
    assert "does not fit" in html(refused)
    assert second.is_on(user)
    client.post("/you/second-factor/off", {"code": code(secret, 1)})

    assert not second.is_on(user)


def test_it_is_not_replaced_by_somebody_at_an_open_browser(
    client: Client, user: User
) -> None:
    offered = client.post("/you/second-factor").context["offer"]
    secret = second.new_secret()
    second.turn_on(user, secret, code(secret))

    client.post("/you/second-factor", {"code": code(offered.secret)})

    assert second.fits(user, code(secret, 1))


def test_whoever_lost_the_phone_turns_it_off_by_a_link(
    by_link: Client, user: User
) -> None:
    secret = second.new_secret()
    second.turn_on(user, secret, code(secret))

    by_link.post("/you/second-factor/off")

    assert not second.is_on(user)


def test_new_recovery_codes_cost_a_code(client: Client, user: User) -> None:
    secret = second.new_secret()
    old = second.turn_on(user, secret, code(secret)) or []

    assert "does not fit" in html(client.post("/you/recovery-codes", {"code": "1"}))
    done = client.post("/you/recovery-codes", {"code": code(secret, 1)})

    assert len(done.context["codes"]) == 10
    assert not second.fits(user, old[0])


# -- tokens


def test_a_token_is_shown_once_and_works(client: Client, user: User) -> None:
    told = {"name": "grafana", "scope": "read", "days": "30"}

    answer = client.post("/you/tokens", told)

    secret = answer.context["secret"]
    assert secret in html(answer)
    assert "no-store" in answer["Cache-Control"]
    assert secret not in html(client.get("/you/"))
    bearer = {"Authorization": f"Bearer {secret}"}
    assert Client().get("/api/machines", headers=bearer).status_code == 200
    token = ApiToken.objects.get()
    assert token.expires_at is not None
    assert abs(token.expires_at - timezone.now() - timedelta(days=30)).seconds < 60


def test_a_revoked_token_lets_nobody_in(client: Client, user: User) -> None:
    secret = tokens.create("grafana", user)

    client.post(f"/you/tokens/{ApiToken.objects.get().pk}/revoke")

    bearer = {"Authorization": f"Bearer {secret}"}
    assert Client().get("/api/machines", headers=bearer).status_code == 401
    actions = AuditEntry.objects.filter(action="token.revoked")
    assert [one.subject for one in actions] == ["grafana"]


def test_somebody_else_s_token_is_neither_seen_nor_revoked(client: Client) -> None:
    grace = User.objects.create_user("grace")
    tokens.create("of grace", grace)

    assert "of grace" not in html(client.get("/you/"))
    pk = ApiToken.objects.get().pk
    assert client.post(f"/you/tokens/{pk}/revoke").status_code == 404
    assert ApiToken.objects.exists()


@pytest.mark.parametrize(
    "told",
    [
        {"name": "x", "scope": "operate"},
        {"name": "x", "scope": "everything"},
        {"name": "x", "days": "36500"},
        {"name": "", "scope": "read"},
        {"name": "y" * 101, "scope": "read"},
    ],
)
def test_a_token_may_not_more_than_its_person(
    client: Client, told: dict[str, str]
) -> None:
    assert 'class="problem"' in html(client.post("/you/tokens", told))
    assert not ApiToken.objects.exists()


def test_an_operator_s_token_may_operate(client: Client, operator: User) -> None:
    client.post("/you/tokens", {"name": "x", "scope": "operate"})

    assert ApiToken.objects.get().scope == "operate"


def test_nothing_else_that_is_posted_counts(client: Client, user: User) -> None:
    """A form's fields are those it has: no owner, no rights."""
    User.objects.create_superuser("root")
    more = {"user": "1", "is_superuser": "1", "is_staff": "on", "digest": "a" * 64}

    client.post("/you/tokens", {"name": "x", "scope": "read", **more})
    client.post("/you/password", {"old": PASSWORD, "new": NEW, **more})

    assert ApiToken.objects.get().user == user
    user.refresh_from_db()
    assert not user.is_superuser
    assert not user.is_staff


# -- sessions


def test_one_sees_where_one_is_in_and_ends_it(client: Client, user: User) -> None:
    other, third = (Client(headers={"User-Agent": name}) for name in ("Phone", "TV"))
    for one in (other, third):
        one.post("/sign-in/", {"username": "ada", "password": PASSWORD})
    page = client.get("/you/")
    assert [one.browser for one in page.context["sessions"]] == [
        "TV",
        "Phone",
        "Firefox on her desk",
    ]
    assert str(client.session.session_key) not in html(page)

    client.post("/you/sessions/end", {"id": page.context["sessions"][0].id})
    assert [is_in(one) for one in (client, other, third)] == [True, True, False]
    client.post("/you/sessions/end")

    assert [is_in(one) for one in (client, other)] == [True, False]


def test_somebody_else_s_sessions_are_not_theirs_to_end(client: Client) -> None:
    grace = User.objects.create_user("grace")
    other = Client()
    other.force_login(grace)
    [theirs] = other.get("/you/").context["sessions"]

    client.post("/you/sessions/end", {"id": theirs.id})
    client.post("/you/sessions/end")

    assert is_in(other)
