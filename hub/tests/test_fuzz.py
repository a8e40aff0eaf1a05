"""No bytes of the wire raise anything but what is meant to be raised."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sysmonstm_proto import metrics_pb2 as pb

from hub.tests import fuzz

pytestmark = pytest.mark.embedded_only

QUICK = settings(
    max_examples=1_000,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@QUICK
@given(st.binary(max_size=400))
def test_any_bytes_are_answered(data: bytes) -> None:
    fuzz.swallow(data)


@QUICK
@given(fuzz.BODIES)
def test_any_message_is_answered(message: pb.MetricsRequest) -> None:
    fuzz.swallow(message.SerializeToString())


@QUICK
@given(fuzz.damaged())
def test_any_damaged_message_is_answered(data: bytes) -> None:
    fuzz.swallow(data)


def test_the_kept_messages_still_reach_every_reader() -> None:
    assert {fuzz.swallow(data) for data in fuzz.corpus()} >= {
        "hello",
        "bad hello",
        "layout",
        "bad layout",
        "samples",
        "refused",
        "no message",
    }
