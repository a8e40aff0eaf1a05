"""Revisions, undo, and which word counts where."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from hub.control import compile, edit, fields
from hub.control.edit import Unfit
from hub.control.merge import Layer, merge
from hub.control.models import Standing
from hub.machines.models import Machine, Tag

pytestmark = pytest.mark.django_db


def wanted(machine: Machine) -> object:
    return compile.standings([machine.pk])[machine.pk].wanted


def test_the_narrower_scope_wins_field_by_field() -> None:
    merged = merge(
        [
            Layer("every machine", {"interval_s": 30, "collectors": {"a": True}}),
            Layer(
                "tag x", {"skip_mounts": ["/a"], "collectors": {"a": False, "b": True}}
            ),
            Layer("this machine", {"skip_mounts": []}),
        ]
    )

    assert merged.wanted == {
        "interval_s": 30,
        "collectors": {"a": False, "b": True},
        "skip_mounts": [],
    }
    assert merged.origins["interval_s"] == "every machine"
    assert merged.origins["collectors.a"] == "tag x"
    assert merged.origins["skip_mounts"] == "this machine"


def test_of_several_tags_the_later_in_the_alphabet_wins(
    atlas: Machine, ada: User
) -> None:
    for name, interval_s in (("zebra", 7), ("ant", 3)):
        tag = Tag.objects.create(name=name)
        atlas.tags.add(tag)
        edit.save(edit.settings_of(tag), {"interval_s": interval_s}, by=ada)

    assert wanted(atlas) == {"interval_s": 7}


def test_the_version_grows_only_with_a_change(atlas: Machine, ada: User) -> None:
    own = edit.settings_of(atlas)
    edit.save(own, {"interval_s": 5}, by=ada)
    before = Standing.objects.get(pk=atlas.pk).version

    assert edit.save(own, {"interval_s": 5}, by=ada) is None
    everybody = edit.settings_of(None)
    edit.save(everybody, {"interval_s": 60}, by=ada)
    assert Standing.objects.get(pk=atlas.pk).version == before

    edit.save(everybody, {"interval_s": 60, "ring_off": True}, by=ada)
    assert Standing.objects.get(pk=atlas.pk).version == before + 1


def test_any_earlier_revision_can_be_brought_back(atlas: Machine, ada: User) -> None:
    own = edit.settings_of(atlas)
    for interval_s in (1, 2, 3):
        edit.save(own, {"interval_s": interval_s}, by=ada)

    edit.bring_back(own, 1, by=ada)
    assert wanted(atlas) == {"interval_s": 1}
    edit.bring_back(own, 0, by=ada)
    assert wanted(atlas) == {}

    told = [(one.number, one.brings_back, one.by_name) for one in own.revisions.all()]
    assert told == [
        (5, 0, "ada"),
        (4, 1, "ada"),
        (3, None, "ada"),
        (2, None, "ada"),
        (1, None, "ada"),
    ]
    with pytest.raises(Unfit, match="no revision 9"):
        edit.bring_back(own, 9, by=ada)


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("interval_s", 0.5, "1 to 300 seconds"),
        ("interval_s", float("nan"), "1 to 300 seconds"),
        ("interval_s", True, "1 to 300 seconds"),
        ("collectors", {"Disk": True}, "no name of a collector"),
        ("collectors", {"disk": "yes"}, "no name of a collector"),
        ("skip_mounts", ["home"], "begins with / or *"),
        ("skip_mounts", ["/../etc"], ".. leads elsewhere"),
        ("skip_mounts", ["/a"] * 101, "At most 100"),
        ("skip_mounts", ["/" + "a" * 128], "longer than 128"),
        ("skip_mounts", ["/a\nb"], "is no name"),
        ("skip_mounts", ["file:///etc"], "is no name"),
        ("skip_devices", ["/dev/sda"], "write sda"),
        ("skip_interfaces", ["a/b"], "no name of an interface"),
        ("ring_off", 1, "yes or no"),
        ("ring_entries", 31, "Between 1 and 30"),
        ("labels", {"a b": "c"}, "no name of a label"),
        ("labels", {"a": "b\nc"}, "one line"),
        ("labels", {f"a{n}": "" for n in range(65)}, "at most 64"),
        ("shell", "rm", "no setting"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(
    atlas: Machine, field: str, value: object, sentence: str
) -> None:
    with pytest.raises(Unfit, match=sentence.replace("*", r"\*")):
        edit.save(edit.settings_of(atlas), {field: value}, by=None)

    assert fields.faults({field: value}).keys() == {field}
    assert not Standing.objects.exists()
