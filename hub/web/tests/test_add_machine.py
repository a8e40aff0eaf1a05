"""Adding a machine: who may, what the command carries, who came, taking it back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape
from pytest_django import Settings

from bench.seed import fill
from hub.health import trust
from hub.health.shelf import MemoryShelf, set_shelf
from hub.machines import credentials, enrolment
from hub.machines.models import Credential, EnrolmentToken, Machine, Tag
from hub.people import secrets
from hub.people.models import AuditEntry
from hub.people.roles import Role
from hub.web.tests.test_pages import HOSTILE, hello

PAGE = "/add-machine/"
TOKEN = re.compile(r"sme_[\w-]{43}")


@pytest.fixture
def administrator(user: User) -> User:
    user.groups.add(Group.objects.get_or_create(name=Role.ADMINISTRATOR)[0])
    return user


@pytest.fixture
def asked(client: Client, administrator: User) -> Client:
    return client


def make(client: Client, **form: str) -> tuple[str, str]:
    """Make a command; return the page and the token in it."""
    page = client.post(PAGE, {"lifetime": "1h", "uses": "1", **form})
    assert page.status_code == 200
    html = page.content.decode()
    [token] = set(TOKEN.findall(html))
    return html, token


def agent_secret() -> str:
    return secrets.make(credentials.PREFIX)


def test_an_operator_sees_no_button_and_no_page(
    client: Client, operator: User, fleet: list[Machine]
) -> None:
    assert PAGE not in client.get("/").content.decode()
    assert client.get(PAGE).status_code == 403
    assert client.post(PAGE, {"uses": "1"}).status_code == 403
    assert not EnrolmentToken.objects.exists()
    for page in ("web:machine", "web:agent"):
        html = client.get(reverse(page, args=["atlas"])).content.decode()
        assert "redential" not in html
    assert client.post("/revoke-agent/atlas").status_code == 403


def test_the_overview_leads_there_empty_or_full(asked: Client, db: None) -> None:
    assert f'href="{PAGE}"' in asked.get("/").content.decode()
    fill(1, minutes=1, gaps=False)
    assert f'href="{PAGE}"' in asked.get("/").content.decode()


def test_a_command_carries_a_token_that_is_kept_nowhere(asked: Client) -> None:
    Tag.objects.create(name="web")

    html, token = make(asked, tag="web", new_tags="berlin, db:main", uses="3")

    kept = EnrolmentToken.objects.get()
    assert kept.digest == secrets.digest(token)
    assert kept.uses_left == 3
    assert {tag.name for tag in kept.tags.all()} == {"web", "berlin", "db:main"}
    assert (
        timedelta(minutes=59) < kept.expires_at - timezone.now() <= timedelta(hours=1)
    )
    assert html.count(token) >= 4
    assert "http://testserver/install/agent.sh" in html
    # What is fetched is checked, in every way.
    assert html.count("curl -fsSL") == html.count("sha256sum -c") >= 5
    assert "http://testserver/install/wheels/sysmonstm_agent-" in html
    assert html.count("--require-hashes") == 3
    assert token not in asked.get(PAGE).content.decode()
    entry = AuditEntry.objects.get(action="enrolment.token_made")
    assert (entry.by_name, entry.address) == ("ada", "127.0.0.1")
    assert token not in str(list(AuditEntry.objects.values_list("detail", "subject")))


def test_the_command_pins_the_hub_or_says_plain_text(
    asked: Client, settings: Settings
) -> None:
    settings.GRPC_HOST = "0.0.0.0"
    settings.GRPC_TLS = "on"
    html, _ = make(asked)
    assert re.search(r"--fingerprint sha256:[0-9a-f]{64}", html)
    assert "--plaintext" not in html

    settings.GRPC_TLS = "off"
    html, _ = make(asked)
    assert "--fingerprint" not in html
    assert "--plaintext" in html


def test_no_token_is_made_where_the_certificate_cannot_be_read(
    asked: Client, settings: Settings, tmp_path: Path
) -> None:
    settings.GRPC_TLS = "on"
    settings.DATA_DIR = tmp_path / "file"
    settings.DATA_DIR.touch()

    answer = asked.post(PAGE, {"lifetime": "1h", "uses": "1"})

    assert answer.status_code == 422
    assert "certificate cannot be read" in answer.content.decode()
    assert not EnrolmentToken.objects.exists()


@pytest.fixture
def shelf() -> Iterator[None]:
    set_shelf(MemoryShelf())
    yield
    set_shelf(None)


def test_no_token_is_made_where_agents_meet_another_certificate(
    asked: Client, settings: Settings, tmp_path: Path, shelf: None
) -> None:
    settings.GRPC_TLS = "on"
    settings.DATA_DIR = tmp_path / "grpcserve"
    trust.tell(lifetime_s=30)
    settings.DATA_DIR = tmp_path / "web"

    for answer in (asked.get(PAGE), asked.post(PAGE, {"lifetime": "1h", "uses": "1"})):
        assert "must have the same DATA_DIR" in answer.content.decode()

    assert answer.status_code == 422
    assert not EnrolmentToken.objects.exists()


def test_the_command_names_the_address_of_the_settings(
    asked: Client, settings: Settings
) -> None:
    settings.PUBLIC_URLS = ["https://monitor.example.org"]

    html, _ = make(asked)

    assert "--hub https://monitor.example.org" in html
    assert "//testserver" not in html


@pytest.mark.parametrize(
    "form",
    [
        {"uses": "0"},
        {"uses": "1001"},
        {"uses": "-1"},
        {"uses": "many"},
        {"uses": ""},
        {"uses": "\uff11"},
        {"lifetime": "forever"},
        {"new_tags": "<img>"},
        {"new_tags": "a" * 65},
        {"new_tags": " ".join(f"t{n}" for n in range(21))},
        {"new_tags": "nul\0"},
    ],
    ids=str,
)
def test_nonsense_is_answered_with_a_sentence(
    form: dict[str, str], asked: Client
) -> None:
    answer = asked.post(PAGE, {"lifetime": "1h", "uses": "1", **form})

    assert answer.status_code == 422
    html = answer.content.decode()
    assert 'role="alert"' in html
    assert escape(form.get("new_tags", "").strip("\0")) in html
    assert "<img" not in html
    assert not EnrolmentToken.objects.exists()
    assert not Tag.objects.exists()


def test_the_page_sees_who_came_by_its_command(asked: Client) -> None:
    _, secret = make(asked)
    token = EnrolmentToken.objects.get()
    page = reverse("web:arrived", args=[token.pk])
    waiting = asked.get(page).content.decode()
    assert "Waiting for the machine" in waiting
    assert 'hx-trigger="every 2s"' in waiting
    assert asked.get(page, {"known": "True"}).status_code == 204
    hello("stranger")
    assert asked.get(page, {"known": "True"}).status_code == 204

    machine = enrolment.enrol(secret, "web-7", agent_secret()).machine

    came = asked.get(page, {"known": "True"}).content.decode()
    assert "web-7" in came
    assert "stranger" not in came
    assert "first values are on their way" in came
    assert 'hx-trigger="every 2s"' in came

    Credential.objects.update(created_at=timezone.now() - timedelta(hours=1))
    [pk] = fill(1, minutes=1, gaps=False)
    Credential.objects.update(machine=Machine.objects.get(pk=pk))
    lives = asked.get(page, {"known": "False web-7:False:False"}).content.decode()
    assert re.search(r"<dt>CPU</dt><dd>\d+", lives)
    assert reverse("web:machine", args=["atlas"]) in lives
    assert "hx-trigger" not in lives
    assert machine.machine_id == "web-7"


def test_values_from_before_do_not_prove_that_it_is_back(
    asked: Client, fleet: list[Machine]
) -> None:
    _, secret = make(asked, machine="atlas")
    token = EnrolmentToken.objects.get()
    enrolment.enrol(secret, "atlas", agent_secret())

    html = asked.get(reverse("web:arrived", args=[token.pk])).content.decode()

    assert "first values are on their way" in html
    assert "<dt>CPU</dt>" not in html


def test_a_command_whose_time_is_up_says_so(asked: Client) -> None:
    make(asked)
    EnrolmentToken.objects.update(expires_at=timezone.now())
    token = EnrolmentToken.objects.get()

    html = asked.get(reverse("web:arrived", args=[token.pk])).content.decode()

    assert "its time is up" in html
    assert "hx-trigger" not in html
    assert "Open commands" not in asked.get(PAGE).content.decode()


def test_a_command_is_listed_until_it_is_revoked(asked: Client) -> None:
    _, secret = make(asked, new_tags="web", uses="2")
    token = EnrolmentToken.objects.get()
    assert (
        reverse("web:revoke_token", args=[token.pk]) in asked.get(PAGE).content.decode()
    )
    assert asked.get(reverse("web:revoke_token", args=[token.pk])).status_code == 405

    row = asked.post(reverse("web:revoke_token", args=[token.pk])).content.decode()

    assert "revoked" in row
    assert "?uses=2&amp;tag=web" in row
    with pytest.raises(enrolment.Refused):
        enrolment.enrol(secret, "web-7", agent_secret())
    again = asked.get(PAGE, {"uses": "2", "tag": "web"}).content.decode()
    assert "Open commands" not in again
    assert 'value="2"' in again
    assert re.search(r'value="web" checked', again)


@pytest.mark.parametrize("pk", [999, 2**63, 2**64])
def test_a_command_that_is_not_there_is_not_found(pk: int, asked: Client) -> None:
    assert asked.get(f"/add-machine/{pk}/arrived").status_code == 404
    assert asked.post(f"/add-machine/{pk}/revoke").status_code == 404


def test_revoking_an_agent_is_said_and_can_be_made_good(asked: Client) -> None:
    _, first = make(asked)
    secret = agent_secret()
    enrolment.enrol(first, "web-7", secret)
    page = reverse("web:agent", args=["web-7"])
    overview = reverse("web:machine", args=["web-7"])
    assert "Revoked" not in asked.get(overview).content.decode()
    assert "Speaks with a secret of its own" in asked.get(page).content.decode()
    assert credentials.find(secret)

    section = asked.post(reverse("web:revoke_agent", args=["web-7"])).content.decode()

    assert "Revoked" in section
    assert credentials.find(secret) is None
    assert "Revoked" in asked.get(page).content.decode()
    assert "Revoked" in asked.get(overview).content.decode()
    form = asked.get(PAGE, {"machine": "web-7"}).content.decode()
    assert "Let web-7 in again" in form

    html, again = make(asked, machine="web-7", uses="7")
    assert "--again" in html
    found = enrolment.enrol(again, "another-name", agent_secret())
    assert found.machine.machine_id == "web-7"
    assert "Speaks with a secret of its own" in asked.get(page).content.decode()
    with pytest.raises(enrolment.Refused):
        enrolment.enrol(again, "another-name", agent_secret())


def test_a_copied_secret_is_shouted_about(asked: Client) -> None:
    _, token = make(asked)
    enrolment.enrol(token, "web-7", agent_secret())
    Credential.objects.update(clone_seen_at=timezone.now())

    for page in ("web:machine", "web:agent"):
        html = asked.get(reverse(page, args=["web-7"])).content.decode()
        assert "Two agents use this" in html


def test_a_machine_without_a_secret_says_why_it_is_let_in(
    asked: Client, fleet: list[Machine]
) -> None:
    html = asked.get(reverse("web:agent", args=["atlas"])).content.decode()

    assert "No secret of its own" in html
    assert "revoke-agent" not in html


def test_hostile_names_stay_text(asked: Client) -> None:
    _, token = make(asked)
    enrolment.enrol(token, HOSTILE, agent_secret())
    pk = EnrolmentToken.objects.get().pk

    for address in (
        reverse("web:arrived", args=[pk]),
        reverse("web:machine", args=[HOSTILE]),
        reverse("web:agent", args=[HOSTILE]),
        f"{PAGE}?machine={HOSTILE}",
        f"{PAGE}?tag={HOSTILE}&uses=<b>&lifetime=<b>",
    ):
        assert "<img" not in asked.get(address).content.decode()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"HTTP_HOST": "127.0.0.1", "GRPC_HOST": "127.0.0.1"}, "GRPC_HOST=0.0.0.0"),
        ({"HTTP_HOST": "0.0.0.0", "GRPC_HOST": "127.0.0.1"}, "GRPC_HOST=0.0.0.0"),
        ({"HTTP_HOST": "::1", "GRPC_HOST": "0.0.0.0"}, "HTTP_HOST=0.0.0.0"),
    ],
)
def test_what_is_in_the_way_is_told_with_the_command_that_helps(
    given: dict[str, str], said: str, asked: Client, settings: Settings
) -> None:
    for name, text in given.items():
        setattr(settings, name, text)

    html = asked.get(PAGE).content.decode()

    assert "listens on loopback only" in html
    assert said in html
    assert ("manage.py grpcserve" if settings.REDIS_URL else "make up") in html


def test_an_address_that_means_another_computer_elsewhere_is_told(
    asked: Client, settings: Settings
) -> None:
    settings.HTTP_HOST = settings.GRPC_HOST = "0.0.0.0"
    settings.ALLOWED_HOSTS = ["localhost", "hub.example"]

    here = asked.get(PAGE, HTTP_HOST="localhost:8000").content.decode()
    there = asked.get(PAGE, HTTP_HOST="hub.example:8000").content.decode()

    assert "You reached the hub as http://localhost:8000" in here
    assert 'class="obstacle"' not in there


def test_the_hubs_own_token_is_never_shown(asked: Client, settings: Settings) -> None:
    settings.AGENT_TOKEN = "not-for-pages"

    assert "not-for-pages" not in make(asked)[0]
    assert "not-for-pages" not in asked.get(PAGE).content.decode()


def test_a_proxy_that_leads_in_is_no_obstacle(
    asked: Client, settings: Settings
) -> None:
    settings.PUBLIC_URLS = ["https://monitor.example.org"]
    settings.GRPC_PUBLIC_ADDRESS = "monitor.example.org:443"

    assert 'class="obstacle"' not in asked.get(PAGE).content.decode()
