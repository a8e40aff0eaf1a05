from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from hub.machines.models import Machine
from hub.storage import buckets, layouts
from hub.storage.buckets import Buckets
from hub.storage.fold import Folded
from hub.storage.layouts import SeriesInfo
from hub.storage.tiers import HOUR

NOON = datetime(2026, 9, 30, 12, tzinfo=UTC)
NOON_MS = round(NOON.timestamp() * 1000)
HOUR_MS = HOUR.width_ms


@pytest.mark.django_db
def test_a_bucket_has_as_many_samples_as_its_fullest_series() -> None:
    machine = Machine.objects.create(machine_id="web-1")
    one, two = (SeriesInfo(name, "1", "gauge", "", ()) for name in ("a", "b"))
    for names, counts in (([one], [[7]]), ([one, two], [[3, 720], [0, 360]])):
        layout = layouts.learn(names).id
        at_ms = NOON_MS - HOUR_MS * np.arange(1, len(counts) + 1)
        matrix = np.array(counts, np.float32)
        content = Folded(matrix, matrix, matrix, matrix)
        machines = np.full(len(counts), machine.pk)
        buckets.write(HOUR, [Buckets(layout, machines, at_ms, content)])

    found = sorted(
        (pk, NOON_MS - at_ms, count)
        for some in buckets.samples(HOUR, [machine.pk], NOON - 2 * HOUR.width, NOON)
        for pk, at_ms, count in zip(*(part.tolist() for part in some), strict=True)
    )

    assert found == [
        (machine.pk, HOUR_MS, 7),
        (machine.pk, HOUR_MS, 720),
        (machine.pk, 2 * HOUR_MS, 360),
    ]
    assert not list(buckets.samples(HOUR, [machine.pk], NOON, NOON + HOUR.width))
