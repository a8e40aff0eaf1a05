"""The simplest ways in and out: a link of the console, a name and a password."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from hub.machines.models import Machine

# What a browser says of an address that was typed, or clicked in a terminal.
TYPED = {"Sec-Fetch-Site": "none"}


@pytest.fixture
def link(user: User, capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """Make sign-in links as the page says: by the command."""

    def make() -> str:
        call_command("signinlink", user.get_username())
        found = re.search(r"(/sign-in/link/\S+)", capsys.readouterr().out)
        assert found
        return found[1]

    return make


def test_a_link_signs_in_once_and_then_says_what_to_do(
    link: Callable[[], str],
) -> None:
    path = link()
    first, second = Client(), Client()

    assert first.get(path, headers=TYPED)["Location"] == "/"
    assert first.get("/").status_code == 200
    answer = second.get(path, headers=TYPED)

    assert answer.status_code == 410
    assert "manage.py signinlink" in answer.content.decode()
    assert second.get("/").status_code == 302


def test_whoever_is_in_already_is_let_through_by_a_used_link(
    link: Callable[[], str],
) -> None:
    path = link()
    client = Client()
    client.get(path, headers=TYPED)

    assert client.get(path)["Location"] == "/"


def test_looking_at_a_link_does_not_use_it_up(link: Callable[[], str]) -> None:
    path = link()

    assert Client().head(path).status_code == 405
    assert Client().get(path, headers=TYPED)["Location"] == "/"


def test_a_link_on_another_page_asks_before_it_signs_anybody_in(
    link: Callable[[], str],
) -> None:
    path, client = link(), Client(enforce_csrf_checks=True)
    elsewhere = {"Sec-Fetch-Site": "cross-site"}

    asked = client.get(path, headers=elsewhere)

    assert "Go on only if you have asked for it" in asked.content.decode()
    assert client.get("/").status_code == 302
    assert client.post(path, headers=elsewhere).status_code == 403
    token = str(asked.context["csrf_token"])
    answer = client.post(path, {"csrfmiddlewaretoken": token})
    assert answer["Location"] == "/"
    assert client.get("/").status_code == 200


def test_name_and_password_sign_in_and_lead_where_one_wanted_to_go(
    user: User, fleet: list[Machine]
) -> None:
    client = Client()
    told = {"username": "ada", "password": "correct horse", "next": "/machines/nas/"}

    assert client.post("/sign-in/", told)["Location"] == "/machines/nas/"
    assert client.get("/sign-in/")["Location"] == "/"


def test_a_sign_in_leads_nowhere_else(user: User) -> None:
    told = {"username": "ada", "password": "correct horse", "next": "//evil.example"}

    assert Client().post("/sign-in/", told)["Location"] == "/"


def test_a_wrong_password_says_what_to_check(user: User) -> None:
    answer = Client().post("/sign-in/", {"username": "ada", "password": "wrong"})

    assert answer.status_code == 200
    html = answer.content.decode()
    assert "do not fit together" in html
    assert 'value="ada"' in html


def test_signing_out_needs_a_post(client: Client) -> None:
    assert client.get("/sign-out/").status_code == 405
    assert client.post("/sign-out/")["Location"] == "/sign-in/"
    assert client.get("/").status_code == 302
