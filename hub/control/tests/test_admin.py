"""Settings in the admin: for everybody and for tags, a few machines first, undo."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from hub.control import compile, edit, reports
from hub.control import rollout as rollout_module
from hub.control.models import AgentSettings, Rollout
from hub.control.tests.test_rollout import agree, intervals
from hub.machines.models import Machine, Tag
from hub.people.models import AuditEntry

pytestmark = pytest.mark.django_db

LIST = "/admin/control/agentsettings/"


@pytest.fixture
def root(db: None, client: Client) -> Client:
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture
def page(root: Client, fleet: list[Machine], database_tag: Tag) -> str:
    """The address of the tag's settings, which every machine has applied."""
    added = root.post(f"{LIST}add/", {"scope": "tag", "tag": database_tag.pk})
    address = added["Location"]
    assert address.startswith(LIST)
    root.post(address, {"interval_s": "10"})
    for machine in fleet:
        agree(machine)
    return address


def test_what_is_wanted_of_a_tag_is_said_and_written_down(
    root: Client, page: str, fleet: list[Machine]
) -> None:
    assert intervals(fleet) == [10, 10, 10, 10, 10]
    shown = root.get(page).content.decode()
    assert 'value="10"' in shown
    listed = root.get(LIST).content.decode()
    assert "Interval: 10\u00a0s" in listed
    entry = AuditEntry.objects.get(action="settings.changed")
    assert (entry.by_name, entry.subject) == ("root", "tag database")

    wrong = root.post(page, {"interval_s": "1000"})
    assert "The interval must be 1 to 300 seconds." in wrong.content.decode()
    assert intervals(fleet) == [10, 10, 10, 10, 10]


def test_a_few_go_first_and_a_refusal_is_shown(
    root: Client, page: str, fleet: list[Machine]
) -> None:
    root.post(page, {"interval_s": "20", "first": "40%", "stay_min": "5"})

    assert intervals(fleet) == [10, 20, 20, 10, 10]
    rollout = Rollout.objects.get()
    assert rollout.stay_s == 300
    agree(fleet[1], "No such interval.")
    rollout_module.tend()
    shown = root.get(page).content.decode()
    assert "Roll-out of revision 2: stopped" in shown
    assert "db-1 refused: No such interval." in shown

    root.post(f"{_base(page)}rollout/undo")
    assert intervals(fleet) == [10, 10, 10, 10, 10]
    again = root.post(f"{_base(page)}rollout/go-on", follow=True)
    assert "over already" in again.content.decode()
    assert AuditEntry.objects.filter(action="rollout.undo").count() == 1


def test_the_others_can_have_it_at_once(
    root: Client, page: str, fleet: list[Machine]
) -> None:
    root.post(page, {"interval_s": "20", "first": "1"})
    root.post(f"{_base(page)}rollout/go-on")
    assert intervals(fleet) == [20, 20, 20, 20, 20]

    root.post(f"{_base(page)}bring-back/1")
    assert intervals(fleet) == [10, 10, 10, 10, 10]
    root.post(f"{_base(page)}bring-back/0")
    assert compile.standings([fleet[0].pk])[fleet[0].pk].wanted == {}


@pytest.mark.parametrize(
    ("first", "sentence"),
    [
        ("some", "Write a number of machines"),
        ("0", "Write a number of machines"),
        ("101%", "More than all of them"),
    ],
)
def test_nonsense_about_the_first_is_said(
    root: Client, page: str, fleet: list[Machine], first: str, sentence: str
) -> None:
    body = root.post(page, {"interval_s": "20", "first": first}).content.decode()

    assert sentence in body
    assert intervals(fleet) == [10, 10, 10, 10, 10]


def test_desired_and_reported_stand_side_by_side(
    root: Client, page: str, fleet: list[Machine]
) -> None:
    reports.report(fleet[3].pk, 1, ["I will <b>not</b>."])

    body = root.get("/admin/control/standing/").content.decode()

    assert "I will &lt;b&gt;not&lt;/b&gt;." in body
    assert root.get("/admin/control/standing/add/").status_code == 403


def test_who_may_only_look_changes_nothing(
    root: Client, page: str, fleet: list[Machine]
) -> None:
    staff = User.objects.create_user("eve", is_staff=True)
    staff.user_permissions.add(Permission.objects.get(codename="view_agentsettings"))
    eve = Client()
    eve.force_login(staff)

    assert eve.get(page).status_code == 200
    assert "Save" not in eve.get(page).content.decode()
    for address in (page, f"{_base(page)}bring-back/0", f"{_base(page)}rollout/undo"):
        assert eve.post(address, {"interval_s": "30"}).status_code == 403
    assert eve.get(f"{LIST}add/").status_code == 403
    assert intervals(fleet) == [10, 10, 10, 10, 10]


def test_there_is_one_default_and_one_for_each_machine(
    root: Client, fleet: list[Machine]
) -> None:
    for _twice in range(2):
        root.post(f"{LIST}add/", {"scope": "default"})
    machine = {"scope": "machine", "machine": fleet[0].pk}
    root.post(f"{LIST}add/", machine)
    wrong = root.post(f"{LIST}add/", {"scope": "machine"})

    assert "Choose what fits the scope" in wrong.content.decode()
    assert AgentSettings.objects.count() == 2
    assert edit.settings_of(fleet[0]).scope == "machine"


def _base(page: str) -> str:
    return page.removesuffix("change/")
