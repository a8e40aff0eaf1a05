from __future__ import annotations

import pytest

from hub.alerts.quantities import BadQuantity, duration, parse, seconds, written


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("90 %", "1", 0.9),
        ("99.9%", "1", 0.999),
        ("99,9 %", "1", 0.999),
        ("5 GiB", "By", 5 * 2**30),
        ("1.5 GiB", "By", 1.5 * 2**30),
        ("500 MB", "By", 5e8),
        ("100 B", "By", 100),
        ("10 MB/s", "By/s", 1e7),
        ("1 GiB/h", "By/s", 2**30 / 3600),
        ("2 h", "s", 7200),
        ("80 °C", "Cel", 80),
        ("80", "Cel", 80),
        ("\u22125 °C", "Cel", -5),
        ("1 000", "{process}", 1000),
        ("4", "", 4),
        ("12 /s", "{error}/s", 12),
        ("5 %/h", "1/s", 0.05 / 3600),
    ],
)
def test_an_amount_is_read_in_its_unit(text: str, unit: str, value: float) -> None:
    assert parse(text, unit) == pytest.approx(value, rel=1e-11)


@pytest.mark.parametrize(
    ("text", "unit", "said"),
    [
        ("90", "1", "Write “90” with its unit. Write it like 90 %."),
        ("0.9", "1", "with its unit"),
        ("5 GiB", "1", "“GiB” is not a unit of this metric; it takes %"),
        ("5", "By", "Write it like 5 GiB."),
        ("many", "By", "“many” is not a number"),
        ("5 %", "{process}", "This metric has no unit"),
        ("5 kg", "", "This metric has no unit"),
        ("10 MB/fortnight", "By/s", "write /s, /min, /h or /d"),
        ("9" * 400 + " %", "1", "too large"),
        ("nan", "1", "not a number"),
        ("inf %", "1", "not a number"),
    ],
)
def test_what_is_no_amount_is_refused_with_a_sentence(
    text: str, unit: str, said: str
) -> None:
    with pytest.raises(BadQuantity) as refused:
        parse(text, unit)

    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.9, "1", "90 %"),
        (0.999, "1", "99.9 %"),
        (5 * 2**30, "By", "5 GiB"),
        (1536, "By", "1.5 KiB"),
        (1e7, "By/s", "10 MB/s"),
        (7200, "s", "2 h"),
        (80, "Cel", "80 °C"),
        (1000, "{process}", "1000"),
        (0.05 / 3600, "1/s", "5 %/h"),
        (0, "1", "0 %"),
        (None, "1", ""),
    ],
)
def test_an_amount_is_written_as_it_is_read(
    value: float | None, unit: str, text: str
) -> None:
    assert written(value, unit) == text
    if value is not None:
        assert parse(text, unit) == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [("5 min", 300), ("90", 90), ("1 h 30 min", 5400), ("2d", 172_800), ("0", 0)],
)
def test_a_duration_is_read(text: str, value: float) -> None:
    assert seconds(text) == value
    assert seconds(duration(value)) == value


@pytest.mark.parametrize(
    "text", ["", "soon", "5 lightyears", "-5", "-5 s", "inf", "nan"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(BadQuantity):
        seconds(text)
