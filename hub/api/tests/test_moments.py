from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.api.moments import EARLIEST, LATEST, PATTERN, BadMoment, moment

NOW = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", NOW),
        ("-1h", datetime(2026, 11, 20, 7, 30, tzinfo=UTC)),
        ("-90m", datetime(2026, 11, 20, 7, 0, tzinfo=UTC)),
        ("-30s", datetime(2026, 11, 20, 8, 29, 30, tzinfo=UTC)),
        ("-7d", datetime(2026, 11, 13, 8, 30, tzinfo=UTC)),
        ("-2w", datetime(2026, 11, 6, 8, 30, tzinfo=UTC)),
        ("-999999999w", EARLIEST),
        ("1795161600", datetime(2026, 11, 20, 8, 0, tzinfo=UTC)),
        ("1795161600.25", datetime(2026, 11, 20, 8, 0, 0, 250_000, tzinfo=UTC)),
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
        ("2026-11-20T08:00:00", datetime(2026, 11, 20, 8, tzinfo=UTC)),
        ("2026-11-20T08:00:00Z", datetime(2026, 11, 20, 8, tzinfo=UTC)),
        ("2026-11-20T08:00:00+01:00", datetime(2026, 11, 20, 7, tzinfo=UTC)),
        # What an unescaped + becomes on its way.
        ("2026-11-20T08:00:00 01:00", datetime(2026, 11, 20, 7, tzinfo=UTC)),
    ],
)
def test_a_moment_is_read(text: str, expected: datetime) -> None:
    assert moment(text, now=NOW) == expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "ISO 8601"),
        ("yesterday", "ISO 8601"),
        ("-1y", "ISO 8601"),
        ("1h", "ISO 8601"),
        ("2026-02-30", "ISO 8601"),
        ("0001-01-01T00:00:00+23:00", "ISO 8601"),
        ("nan", "ISO 8601"),
        ("1e9", "ISO 8601"),
        ("٣", "ISO 8601"),
        ("1795161600000", "milliseconds"),
        ("9" * 400, "milliseconds"),
        ("1969-12-31", "between 1970 and 2200"),
        ("2300-01-01", "between 1970 and 2200"),
    ],
)
def test_what_is_no_moment_is_refused_with_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(BadMoment, match=sentence):
        moment(text, now=NOW)


@given(st.one_of(st.text(max_size=40), st.from_regex(PATTERN, fullmatch=True)))
def test_any_text_is_a_moment_within_bounds_or_refused(text: str) -> None:
    try:
        found = moment(text, now=NOW)
    except BadMoment:
        return
    assert EARLIEST <= found <= LATEST
