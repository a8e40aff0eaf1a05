from __future__ import annotations

import math
import struct
from contextlib import suppress

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from sysmonstm_proto import limits
from sysmonstm_proto import metrics_pb2 as pb

from hub.ingest import decode
from hub.ingest.decode import BadLayout, Decoded, Known, Source
from hub.ingest.tests.wire import EPOCH, layout, sample, vector
from hub.storage.layouts import SeriesInfo
from hub.storage.raw import Incoming
from hub.storage.sample import StoredSample

NOW_MS = 1_700_000_000_000
SOURCE = Source(machine=7, epoch=EPOCH)
TWO_SERIES = {1: Known(id=42, size_bytes=8)}


def decoded(*batch: pb.Sample, last: int = 0) -> Decoded:
    return decode.samples(batch, SOURCE, TWO_SERIES, last=last, now_ms=NOW_MS)


def good(sequence: int) -> pb.Sample:
    return sample(sequence, 1.0, 2.0, time_ms=NOW_MS)


def test_a_sample_keeps_its_bytes() -> None:
    outcome = decoded(sample(3, 1.5, math.nan, time_ms=NOW_MS - 10))

    values = vector(1.5, math.nan)
    stored = StoredSample(7, 42, 3, NOW_MS - 10, NOW_MS, values)
    assert outcome == ([Incoming(stored, EPOCH)], [], 3)


@pytest.mark.parametrize("values", [b"", b"\x00", bytes(4), bytes(7), bytes(12)])
def test_a_vector_of_another_length_is_refused(values: bytes) -> None:
    taken, refused, last = decoded(sample(1, raw=values, time_ms=NOW_MS))

    assert (taken, last) == ([], 1)
    assert refused[0].reason == pb.REFUSAL_REASON_WRONG_LENGTH


def test_a_layout_that_was_not_sent_is_unknown() -> None:
    outcome = decoded(sample(1, 1.0, 2.0, layout=9, time_ms=NOW_MS))

    assert outcome.refused[0].reason == pb.REFUSAL_REASON_UNKNOWN_LAYOUT


WEEK_MS = 7 * 24 * 3600 * 1000
IN_2262 = 9_223_372_036_854


@pytest.mark.parametrize(
    "time_ms",
    [0, -1, -(2**63), 2**63 - 1, IN_2262, NOW_MS - WEEK_MS - 1, NOW_MS + 300_001],
)
def test_a_time_that_cannot_be_is_refused(time_ms: int) -> None:
    outcome = decoded(sample(1, 1.0, 2.0, time_ms=time_ms))

    assert outcome.refused[0].reason == pb.REFUSAL_REASON_TIME_OUT_OF_RANGE
    assert not outcome.taken


@pytest.mark.parametrize("time_ms", [NOW_MS - WEEK_MS, NOW_MS, NOW_MS + 300_000])
def test_a_week_ago_and_five_minutes_ahead_are_taken(time_ms: int) -> None:
    assert len(decoded(sample(1, 1.0, 2.0, time_ms=time_ms)).taken) == 1


def test_numbers_must_grow_and_refusals_do_not_move_them() -> None:
    batch = [good(n) for n in (5, 5, 4, 0, 2**64 - 1, 6)]

    taken, refused, last = decoded(*batch)

    assert [i.sample.sequence for i in taken] == [5, 6]
    assert [r.sequence for r in refused] == [5, 4, 0, 2**64 - 1]
    assert {r.reason for r in refused} == {pb.REFUSAL_REASON_OUT_OF_ORDER}
    assert last == 6


def test_numbers_go_on_from_the_message_before() -> None:
    taken, refused, last = decoded(good(10), good(11), last=10)

    assert [i.sample.sequence for i in taken] == [11]
    assert [r.sequence for r in refused] == [10]
    assert last == 11


def test_one_bad_sample_leaves_the_others_alone() -> None:
    bad = sample(2, raw=b"?", time_ms=NOW_MS)

    taken, refused, last = decoded(good(1), bad, good(3))

    assert [i.sample.sequence for i in taken] == [1, 3]
    assert [r.sequence for r in refused] == [2]
    assert last == 3


FIELDS = st.tuples(
    st.integers(0, 2**64 - 1),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(0, 2**32 - 1) | st.just(1),
    st.binary(max_size=16) | st.binary(min_size=8, max_size=8),
)


@given(st.lists(FIELDS, max_size=8))
def test_whatever_comes_each_sample_is_taken_or_refused(
    fields: list[tuple[int, int, int, bytes]],
) -> None:
    batch = [
        pb.Sample(sequence=s, time_unix_ms=t, layout=number, values=v)
        for s, t, number, v in fields
    ]

    taken, refused, last = decoded(*batch)

    assert len(taken) + len(refused) == len(batch)
    stored = [i.sample.sequence for i in taken]
    assert stored == sorted(set(stored))
    assert all(0 < n <= last <= 2**63 - 1 for n in stored)
    assert all(len(i.sample.values) == 8 for i in taken)


@given(st.binary(max_size=200))
def test_random_bytes_are_a_message_or_a_decode_error(garbage: bytes) -> None:
    try:
        request = pb.MetricsRequest.FromString(garbage)
    except DecodeError:
        return
    decoded(*request.samples.samples)
    if request.layout.series:
        with suppress(BadLayout):
            decode.layout(request.layout)


def test_infinity_becomes_no_reading_and_the_rest_stays() -> None:
    plain = decoded(good(1)).taken
    extreme = [math.inf, -math.inf]
    strange = decoded(sample(2, *extreme, time_ms=NOW_MS)).taken

    kept = decode.finite(plain + strange)

    assert kept[0] == plain[0]
    assert all(math.isnan(v) for v in struct.unpack("<2f", kept[1].sample.values))
    assert kept[1].sample.sequence == 2


def test_a_batch_without_infinity_is_not_copied() -> None:
    batch = decoded(good(1), sample(2, -0.0, math.nan, time_ms=NOW_MS)).taken

    assert decode.finite(batch) is batch


def test_a_layout_becomes_series_in_its_order() -> None:
    message = layout("/home", "/").layout

    assert decode.layout(message) == [
        SeriesInfo(
            metric="system.filesystem.utilization",
            unit="1",
            kind="gauge",
            help="Share of the filesystem that is used.",
            attributes=(("mountpoint", mount),),
        )
        for mount in ("/home", "/")
    ]


def test_attributes_are_sorted() -> None:
    message = layout("/").layout
    message.series[0].attributes["a"] = "1"

    [series] = decode.layout(message)

    assert series.attributes == (("a", "1"), ("mountpoint", "/"))


def test_hostile_mount_points_are_written_out() -> None:
    [series] = decode.layout(layout("/mnt/a\x00\n\u202e").layout)

    assert series.attributes == (("mountpoint", "/mnt/a\\x00\\x0a\\u202e"),)


def metric(**fields: object) -> pb.Layout:
    message = layout("/").layout
    for name, value in fields.items():
        setattr(message.metrics[0], name, value)
    return message


def attribute(key: str, value: str) -> pb.Layout:
    message = layout("/").layout
    message.series[0].attributes[key] = value
    return message


def many_attributes() -> pb.Layout:
    message = layout("/").layout
    for n in range(limits.MAX_ATTRIBUTES):
        message.series[0].attributes[f"a{n}"] = ""
    return message


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (pb.Layout(), "1 to 2000 series"),
        (layout(*map(str, range(limits.MAX_SERIES + 1))).layout, "2000 series"),
        (layout("/", "/").layout, "is twice"),
        (metric(name=""), "is not a name"),
        (metric(name="cpu\nload"), "is not a name"),
        (metric(name="x" * 129), "longer than 128 bytes"),
        (metric(unit="ü" * 65), "longer than 128 bytes"),
        (metric(help="h" * 513), "longer than 512 bytes"),
        (metric(kind=pb.KIND_UNSPECIFIED), "neither gauge nor counter"),
        (metric(kind=99), "neither gauge nor counter"),
        (attribute("mount point", "/"), "is not a name"),
        (attribute("a", "x" * 129), "longer than 128 bytes"),
        (many_attributes(), "at most 64 attributes"),
        (pb.Layout(series=[pb.Series(metric=0)]), "names metric 0"),
    ],
)
def test_a_layout_out_of_bounds_is_refused(message: pb.Layout, sentence: str) -> None:
    with pytest.raises(BadLayout, match=sentence):
        decode.layout(message)


def test_a_layout_at_the_bounds_is_taken() -> None:
    message = layout(*map(str, range(limits.MAX_SERIES))).layout

    assert len(decode.layout(message)) == limits.MAX_SERIES
