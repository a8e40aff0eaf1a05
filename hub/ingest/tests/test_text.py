from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.ingest import text


def test_ordinary_text_stays_as_it_is() -> None:
    assert text.plain("/mnt/Büro 1") == "/mnt/Büro 1"


def test_what_breaks_lines_or_hides_is_written_out() -> None:
    assert text.plain("a\x00b\nc\x1b[31md") == "a\\x00b\\x0ac\\x1b[31md"
    assert text.plain("safe\u202egpj.exe") == "safe\\u202egpj.exe"
    assert text.plain("zero\u200bwidth") == "zero\\u200bwidth"
    assert text.plain("\ud800") == "\\ud800"


def test_markup_is_left_to_whoever_shows_it() -> None:
    assert text.plain("<img onerror=x>{{7*7}}") == "<img onerror=x>{{7*7}}"


@given(st.text(st.characters(codec=None), max_size=300))
def test_plain_text_always_fits_and_can_be_kept(anything: str) -> None:
    kept = text.plain(anything)

    assert len(kept.encode()) <= 128
    assert kept == "" or len(kept.splitlines()) == 1
    assert "\x00" not in kept
    assert json.loads(json.dumps(kept)) == kept


def test_a_cut_never_leaves_half_a_character() -> None:
    assert text.cut("ääää", 5) == "ää"


@pytest.mark.parametrize("name", ["system.cpu.utilization", "cpu.mode", "A", "x-y/z_1"])
def test_names_of_metrics_are_names(name: str) -> None:
    assert text.name(name, "the metric") == name


@pytest.mark.parametrize(
    "name", ["", "1cpu", "cpu load", "cpu\n", "ü", "a" * 129, "<b>", "a\x00"]
)
def test_other_text_is_not_a_name(name: str) -> None:
    with pytest.raises(text.BadText):
        text.name(name, "the metric")


@pytest.mark.parametrize(
    "machine_id", ["web-1", "db.example.org", "Büro PC", "<b>bold"]
)
def test_machines_may_have_names_that_people_give(machine_id: str) -> None:
    assert text.machine_id(machine_id) == machine_id


@pytest.mark.parametrize(
    "machine_id",
    [
        *("", "  ", " web", "web\n", "a\u202eb", "\x00", "a" * 129, "ü" * 65),
        *("a/b", "..", "a?b", "a#b", "a%2fb", "..\\x"),
    ],
)
def test_machines_are_not_named_by_what_breaks_an_address(machine_id: str) -> None:
    with pytest.raises(text.BadText):
        text.machine_id(machine_id)
