"""When would a machine have been called down? By what the tiers know of its silence.

What came late was silence when it should have come; what the hub could not hear was
none. The hours come first: one with all its samples hides no silence.

Of planned stops only the last is remembered, and where nothing but minutes are kept,
a silence of less than two does not show.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import numpy as np

from hub.alerts.conditions import Floats, Times
from hub.alerts.models import Blindness
from hub.alerts.replay import Tried, replay
from hub.alerts.silence import intervals
from hub.alerts.spec import Spec
from hub.alerts.state import FLAPPING_CAP_MS
from hub.machines.models import Machine
from hub.machines.presence import to_ms
from hub.storage import away, buckets
from hub.storage.backfill import backfills, gaps
from hub.storage.layouts import SeriesInfo
from hub.storage.models import Cursor
from hub.storage.tiers import HOUR, from_ms

SILENCE = SeriesInfo(
    "silence", "{interval}", "gauge", "For how many intervals it was silent.", ()
)
HOUR_MS = 3_600_000
# As the evaluation looks, for the first minutes of a silence; later it only grows.
FINE_MS, COARSE_MS = 5_000, 60_000
FINELY_MS = 600_000
GAP_MS = 2 * COARSE_MS

Span = tuple[int, int]


def tried(
    spec: Spec, machine: Machine, start: datetime, end: datetime
) -> Iterator[Tried]:
    """Yield a machine's silences, and when the rule would have fired."""
    start = max(start, machine.first_seen)
    if start >= end or not Cursor.objects.filter(machine=machine).exists():
        # It has never been heard: there is nothing to miss.
        return
    span = to_ms(start), to_ms(end)
    silent = _silences(spec, machine, span)
    time_ms, values = _readings(machine, silent, _deafness(span), span)
    hours = np.arange(span[0], span[1], HOUR_MS, dtype=np.int64)
    worst = np.zeros(len(hours), np.float32)
    np.maximum.at(worst, (time_ms - span[0]) // HOUR_MS, values)
    firings = replay(spec, time_ms, values, gap_ms=GAP_MS)
    yield Tried(machine, SILENCE, hours, np.zeros_like(worst), worst, firings)


def _silences(spec: Spec, machine: Machine, span: Span) -> list[Span]:
    """Return when nothing came that should have, ascending and apart."""
    found: list[Span] = []
    for since, until in _suspicious(spec, machine, span):
        found += _holes(machine, since, until)
    late = backfills(machine, from_ms(span[0]), from_ms(span[1]))
    found += [(to_ms(one.start), to_ms(one.end)) for one in late]
    inside = [(max(s, span[0]), min(e, span[1])) for s, e in found]
    # Before its first sample there was nothing to miss.
    first_ms = to_ms(machine.first_seen)
    return [one for one in _overlapping(inside) if one[0] > first_ms]


def _holes(machine: Machine, since: int, until: int) -> list[Span]:
    """Return when there is no sample; a single one between two holes parts them."""
    found: list[Span] = []
    was_away = False
    for gap in gaps(machine, from_ms(since), from_ms(until)):
        start, end = to_ms(gap.start), to_ms(gap.end)
        is_away = gap.why == "hub away"
        # Where the hub's absence begins or ends there was no sample.
        if found and found[-1][1] == start and (is_away or was_away):
            found[-1] = found[-1][0], end
        else:
            found.append((start, end))
        was_away = is_away
    return found


def _suspicious(spec: Spec, machine: Machine, span: Span) -> list[Span]:
    """Return the stretches with fewer samples than there should be."""
    first = span[0] // HOUR_MS
    counts = np.zeros(span[1] // HOUR_MS - first + 1)
    for some in buckets.read(HOUR, [machine.pk], *map(from_ms, span)) or []:
        np.add.at(counts, some.time_ms // HOUR_MS - first, some.content.count.max(1))
    usual = float(np.median(counts[counts > 0])) if counts.any() else 0.0
    missed = max(1.0, spec.levels[-1][1] - 2)
    few = np.flatnonzero(counts <= usual - missed if usual > missed else counts >= 0)
    marked = [(int(n + first) * HOUR_MS, int(n + first + 1) * HOUR_MS) for n in few]
    edge = HOUR_MS // 2
    found = _overlapping([(since - edge, until + edge) for since, until in marked])
    return [(max(s, span[0]), min(e, span[1])) for s, e in found]


def _deafness(span: Span) -> list[Span]:
    """Return when the hub could not hear, ascending and apart."""
    start, end = from_ms(span[0]), from_ms(span[1])
    # One that ended shortly before still gives machines time to come back.
    since = start - timedelta(hours=1)
    blind = Blindness.objects.filter(end__gt=since, start__lt=end)
    both = [*away.between(since, end), *blind.values_list("start", "end")]
    return _overlapping([(to_ms(first), to_ms(last)) for first, last in both])


def _readings(
    machine: Machine, silent: list[Span], deaf: list[Span], span: Span
) -> tuple[Times, Floats]:
    """Return what the evaluation would have read, at the moments that matter."""
    left_ms = None if machine.left_at is None else to_ms(machine.left_at)
    times: list[int] = []
    values: list[float] = []
    for place, (since, until) in enumerate(silent):
        following = silent[place + 1][0] if place + 1 < len(silent) else span[1]
        for at_ms in _moments(since, until):
            heard = _hears_since(deaf, at_ms)
            if heard is None:
                continue
            is_meant = left_ms is not None and since - FINE_MS <= left_ms <= at_ms
            times.append(at_ms)
            values.append(
                0.0
                if is_meant
                else intervals(
                    seen_ms=since,
                    hears_since_ms=heard,
                    now_ms=at_ms,
                    interval_s=machine.interval_s,
                )
            )
        # It is there again; what must last before an alert ends has its time.
        ends = min(following, until + 2 * FLAPPING_CAP_MS)
        well = list(_moments(until, ends)) if until < span[1] else []
        times += well
        values += [0.0] * len(well)
    return np.array(times, np.int64), np.array(values, np.float32)


def _moments(since: int, until: int) -> Iterator[int]:
    finely = min(until, since + FINELY_MS)
    yield from range(since, finely, FINE_MS)
    yield from range(since + FINELY_MS, until, COARSE_MS)


def _hears_since(deaf: list[Span], at_ms: int) -> int | None:
    """Return when the hub last began to hear; None: it did not at this moment."""
    heard = 0
    for since, until in deaf:
        if since <= at_ms < until:
            return None
        if until <= at_ms:
            heard = until
    return heard


def _overlapping(spans: list[Span]) -> list[Span]:
    """Join what overlaps; what only touches has a sample between."""
    found: list[Span] = []
    for since, until in sorted(spans):
        if found and since < found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], until)
        else:
            found.append((since, until))
    return found
