from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from pytest_django import Settings

from hub.alerts.models import Contact, Maintenance, Route, Silence
from hub.alerts.tests.office import contact
from hub.alerts.tests.receivers import http_receiver, smtp_receiver

pytestmark = pytest.mark.django_db

ADD = "/admin/alerts/contact/add/"
SECRET = "a-long-shared-secret"


@pytest.fixture
def boss() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    return client


@pytest.fixture
def staff() -> Client:
    person = User.objects.create_user("staff", is_staff=True)
    person.user_permissions.set(
        Permission.objects.filter(content_type__app_label="alerts")
    )
    client = Client()
    client.force_login(person)
    return client


def form(**said: object) -> dict[str, object]:
    fields: dict[str, object] = {
        "name": "ops",
        "enabled": "on",
        "kind": "webhook",
        "secret": SECRET,
        "zone": "UTC",
    }
    return fields | said


def errors(client: Client, **said: object) -> str:
    response = client.post(ADD, form(**said))
    assert response.status_code == 200, "it was taken"
    assert not Contact.objects.exists()
    return str(response.context["adminform"].form.errors)


def test_a_contact_is_sealed_and_its_address_never_shown_again(boss: Client) -> None:
    url = "https://198.41.0.4/hook/T0KEN-OF-MINE"

    assert boss.post(ADD, form(address=url)).status_code == 302

    made = Contact.objects.get()
    assert (made.address, made.secret) == (url, SECRET)
    assert made.masked == "https://198.41.0.4/…"
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM alerts_contact")
        assert "T0KEN" not in str(cursor.fetchall())
    for page in (
        f"/admin/alerts/contact/{made.pk}/change/",
        "/admin/alerts/contact/",
        f"/admin/alerts/contact/{made.pk}/history/",
    ):
        shown = boss.get(page).content.decode()
        assert "T0KEN" not in shown
        assert SECRET not in shown
    assert "T0KEN" not in str(LogEntry.objects.values_list("change_message"))


def test_an_empty_field_keeps_what_is_there(boss: Client) -> None:
    boss.post(ADD, form(address="https://198.41.0.4/hook"))
    made = Contact.objects.get()

    page = f"/admin/alerts/contact/{made.pk}/change/"
    assert boss.post(page, form(name="renamed", secret="")).status_code == 302

    made.refresh_from_db()
    assert made.name == "renamed"
    assert (made.address, made.secret) == ("https://198.41.0.4/hook", SECRET)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("", "Say where it is reached."),
        ("http://127.0.0.1/", "this machine itself"),
        ("http://localhost:9000/", "localhost leads to"),
        ("http://169.254.169.254/latest/meta-data", "metadata"),
        ("http://[::ffff:10.0.0.1]/", "10.0.0.1 is a private network"),
        ("http://2130706433/", "this machine itself"),
        ("https://user:word@example.org/", "user name"),
        ("gopher://example.org/", "must begin with https://"),
        ("https://example.org:22/", "Port 22"),
    ],
)
def test_a_webhook_that_may_not_be_reached_is_not_saved(
    boss: Client, address: str, said: str
) -> None:
    assert said in errors(boss, address=address)


def test_a_webhook_without_a_secret_is_not_saved(boss: Client) -> None:
    address = "https://198.41.0.4/"

    assert "type a secret" in errors(boss, address=address, secret="")
    assert "at least 16" in errors(boss, address=address, secret="short")


@pytest.mark.parametrize(
    ("kind", "address", "said"),
    [
        ("apprise", "nonsense://x", "Apprise knows"),
        ("apprise", "json://127.0.0.1/", "this machine itself"),
        ("email", "nobody", "valid email"),
        ("email", "a@example.org, b@example.org", "valid email"),
    ],
)
def test_what_cannot_be_reached_is_said(
    boss: Client, kind: str, address: str, said: str
) -> None:
    assert said in errors(boss, kind=kind, address=address)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("zone", "Mars/Olympus", "is not a time zone"),
        ("subject", "{machine} {password}", "There is no {password}"),
        ("quiet_from", "22:00", "both a beginning and an end"),
        ("quiet_days", "9", "Select a valid choice"),
    ],
)
def test_what_makes_no_sense_is_said(
    boss: Client, field: str, value: str, said: str
) -> None:
    said_back = errors(boss, address="https://198.41.0.4/", **{field: value})

    assert said in said_back


def test_only_an_administrator_opens_private_addresses(
    boss: Client, staff: Client
) -> None:
    posted = form(address="http://10.0.0.1/", may_reach_private="on")

    refused = staff.post(ADD, posted)
    assert "private network" in str(refused.context["adminform"].form.errors)
    assert boss.post(ADD, posted).status_code == 302

    assert Contact.objects.get().may_reach_private


def test_staff_cannot_use_what_was_opened_for_another_address(
    boss: Client, staff: Client
) -> None:
    boss.post(ADD, form(address="http://10.0.0.1/", may_reach_private="on"))
    made = Contact.objects.get()
    page = f"/admin/alerts/contact/{made.pk}/change/"

    refused = staff.post(page, form(address="http://127.0.0.1:6379/"))
    assert "this machine" in str(refused.context["adminform"].form.errors)
    assert staff.post(page, form(address="https://198.41.0.4/")).status_code == 302

    made.refresh_from_db()
    assert not made.may_reach_private


def test_staff_cannot_open_private_addresses_for_what_is_saved(
    boss: Client, staff: Client
) -> None:
    boss.post(ADD, form(address="https://198.41.0.4/"))
    made = Contact.objects.get()

    page = f"/admin/alerts/contact/{made.pk}/change/"
    assert staff.post(page, form(may_reach_private="on")).status_code == 302

    made.refresh_from_db()
    assert not made.may_reach_private


def test_what_is_not_in_the_form_cannot_be_posted(boss: Client) -> None:
    boss.post(
        ADD,
        form(
            address="https://198.41.0.4/",
            masked="other",
            sealed_address="other",
            test_said="worked",
        ),
    )

    made = Contact.objects.get()
    assert made.address == "https://198.41.0.4/"
    assert (made.masked, made.test_said) == ("https://198.41.0.4/…", "")


def test_the_test_button_sends_and_says_what_was_answered(boss: Client) -> None:
    made = contact(may_reach_private=True)
    with http_receiver() as receiver:
        made.reach(f"{receiver.url}/hook")
        made.save()
        page = boss.post(f"/admin/alerts/contact/{made.pk}/try/", follow=True)
        assert "Sent. The receiver answered 200." in page.content.decode()
        receiver.status = 500
        page = boss.post(f"/admin/alerts/contact/{made.pk}/try/", follow=True)

    assert "Not sent. 127.0.0.1 answered 500." in page.content.decode()
    assert b'"test":true' in receiver.heard[0].body
    made.refresh_from_db()
    assert made.test_said == "127.0.0.1 answered 500."
    assert LogEntry.objects.filter(change_message__contains="Test message").count() == 2


def test_the_test_button_mails(boss: Client, settings: Settings) -> None:
    made = contact(kind="email")
    made.reach("ops@example.org")
    made.save()
    with smtp_receiver() as box:
        settings.SMTP_URL = box.url
        boss.post(f"/admin/alerts/contact/{made.pk}/try/")

    assert box.mails[0]["Subject"] == "Test message from sysmonstm"


def test_the_test_button_is_not_for_everybody(boss: Client) -> None:
    made = contact()
    url = f"/admin/alerts/contact/{made.pk}/try/"
    person = User.objects.create_user("guest", is_staff=True)
    guest = Client()
    guest.force_login(person)

    assert guest.post(url).status_code == 403
    assert boss.get(url).status_code == 405
    assert Client().post(url).status_code == 302
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(username="boss"))
    assert strict.post(url).status_code == 403


@pytest.mark.parametrize(
    "page",
    [
        "contact/",
        "contact/add/",
        "route/",
        "route/add/",
        "silence/",
        "silence/add/",
        "maintenance/",
        "maintenance/add/",
        "delivery/",
    ],
)
def test_every_page_of_the_admin_opens(boss: Client, page: str) -> None:
    contact()

    assert boss.get(f"/admin/alerts/{page}").status_code == 200


def test_a_route_a_silence_and_a_window_are_made_in_the_admin(boss: Client) -> None:
    ops = contact()

    assert (
        boss.post(
            "/admin/alerts/route/add/",
            {
                "name": "all",
                "enabled": "on",
                "position": 0,
                "level": "warning",
                "zone": "UTC",
                "days": ["0", "4"],
                "contacts": [ops.pk],
                "group_wait_s": 30,
                "remind_times": 6,
            },
        ).status_code
        == 302
    )
    assert (
        boss.post(
            "/admin/alerts/silence/add/",
            {
                "machine": "db-*",
                "matchers": "mountpoint=/data, device!=loop*",
                "starts_at_0": "2026-01-01",
                "starts_at_1": "00:00",
                "until_0": "2026-01-02",
                "until_1": "00:00",
                "reason": "known",
            },
        ).status_code
        == 302
    )
    assert (
        boss.post(
            "/admin/alerts/maintenance/add/",
            {
                "name": "Patching",
                "enabled": "on",
                "kind": "weekly",
                "days": ["5"],
                "start": "02:00",
                "zone": "Europe/Berlin",
                "length": "2:00:00",
                "all_machines": "on",
            },
        ).status_code
        == 302
    )

    assert Route.objects.get().days == [0, 4]
    silence = Silence.objects.get()
    assert len(silence.matchers) == 2
    assert silence.created_by is not None
    assert silence.created_by.username == "boss"
    assert Maintenance.objects.get().span is not None
