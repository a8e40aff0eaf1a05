from __future__ import annotations

import pytest

from hub.alerts.matchers import BadMatcher, accept, from_rows, parse, to_rows, written
from hub.alerts.tests.scenes import disk, series

DATA = disk("/data", **{"system.filesystem.type": "ext4"}).attributes
ROOT = disk("/").attributes
BARE = series("system.cpu.utilization").attributes
CORE = series("system.cpu.utilization", **{"cpu.logical_number": "3"}).attributes


@pytest.mark.parametrize(
    ("text", "attributes", "is_meant"),
    [
        ("mountpoint=/data", DATA, True),
        ("mountpoint=/data", ROOT, False),
        ("system.filesystem.mountpoint=/data", DATA, True),
        ("point=/data", DATA, False),
        ("mountpoint!=/data", DATA, False),
        ("mountpoint!=/data", ROOT, True),
        ("mountpoint=/d*", DATA, True),
        ("mountpoint=/D*", DATA, False),
        ("mountpoint=/[ab]*", DATA, False),
        ("mountpoint=/data, type!=ext4", DATA, False),
        ("mountpoint=/data, type!=xfs", DATA, True),
        ("type=", ROOT, True),
        ("type=", DATA, False),
        ("type!=", DATA, True),
        ("{}", BARE, True),
        ("{}", CORE, False),
        ("", CORE, True),
    ],
)
def test_a_matcher_keeps_the_series_that_are_meant(
    text: str, attributes: tuple[tuple[str, str], ...], *, is_meant: bool
) -> None:
    assert accept(parse(text), attributes) is is_meant


@pytest.mark.parametrize(
    "text", ["", "{}", "mountpoint=/data", "a.b!=x*, c=[!d]", "name=one,,two"]
)
def test_what_is_written_reads_the_same(text: str) -> None:
    matchers = parse(text)

    assert written(matchers) == text
    assert from_rows(to_rows(matchers)) == matchers  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("/data", "“/data” has no = sign"),
        ("=x", "“” is not the name"),
        ("a b=c", "“a b” is not the name"),
        ("a=" + "x" * 300, "at most 256 characters"),
        (",".join(f"a{n}=b" for n in range(17)), "at most 16 matchers"),
    ],
)
def test_what_cannot_be_understood_is_said_in_a_sentence(text: str, said: str) -> None:
    with pytest.raises(BadMatcher, match=said):
        parse(text)
