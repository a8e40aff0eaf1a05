"""When would a machine have been called down? By what the tiers know of its silence.

What came late was silence when it should have come; what the hub could not hear was
none. The hours come first: one with all its samples hides no silence.

Of planned stops only the last is remembered, and where nothing but minutes are kept,
a silence of less than two does not show.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import numpy as np

from hub.alerts.conditions import Floats, Times
from hub.alerts.models import Blindness
from hub.alerts.replay import Tried, replay
from hub.alerts.silence import intervals_of
from hub.alerts.spec import Spec
from hub.alerts.state import FLAPPING_CAP_MS
from hub.machines.models import Machine
from hub.machines.presence import to_ms
from hub.storage import away, buckets
from hub.storage.backfill import Asked, Gap, gaps_of
from hub.storage.layouts import SeriesInfo
from hub.storage.models import Backfill, Cursor
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
    spec: Spec, machines: Sequence[Machine], start: datetime, end: datetime
) -> Iterator[Tried]:
    """Yield the machines' silences, and when the rule would have fired."""
    missed = max(1.0, spec.levels[-1][1] - 2)
    for machine, span, time_ms, values in _courses(machines, start, end, missed):
        hours = np.arange(*span, HOUR_MS, dtype=np.int64)
        worst = np.zeros(len(hours), np.float32)
        np.maximum.at(worst, (time_ms - span[0]) // HOUR_MS, values)
        firings = replay(spec, time_ms, values, gap_ms=GAP_MS)
        yield Tried(machine, SILENCE, hours, np.zeros_like(worst), worst, firings)


def moments(
    machines: Sequence[Machine], start: datetime, end: datetime
) -> dict[int, Times]:
    """Return when rules that count silence would have been told of it, by machine."""
    return {
        machine.pk: time_ms[values > 0]
        for machine, _, time_ms, values in _courses(machines, start, end, missed=1.0)
    }


def _courses(
    machines: Sequence[Machine], start: datetime, end: datetime, missed: float
) -> Iterator[tuple[Machine, Span, Times, Floats]]:
    """Yield what the evaluation would have read, at the moments that matter.

    Of each machine that has ever been heard, in its own intervals.
    """
    heard = set(
        Cursor.objects.filter(machine__in=machines).values_list("pk", flat=True)
    )
    spans = {
        machine: (to_ms(max(start, machine.first_seen)), to_ms(end))
        for machine in machines
        if machine.pk in heard and machine.first_seen < end
    }
    if not spans:
        return
    whole = to_ms(start), to_ms(end)
    deaf = _deafness(whole)
    for machine, silent in _silences(spans, whole, missed).items():
        span = spans[machine]
        yield machine, span, *_readings(machine, silent, deaf, span)


def _silences(
    spans: dict[Machine, Span], whole: Span, missed: float
) -> dict[Machine, list[Span]]:
    """Return when nothing came that should have, ascending and apart."""
    asked = [
        Asked(machine, from_ms(since), from_ms(until))
        for machine, some in _suspicious(spans, whole, missed).items()
        for since, until in some
    ]
    found: dict[Machine, list[Span]] = {machine: [] for machine in spans}
    for one, holes in zip(asked, gaps_of(asked), strict=True):
        found[one.machine] += _holes(holes)
    by_pk = {machine.pk: machine for machine in spans}
    late = Backfill.objects.filter(
        machine__in=by_pk, end__gte=from_ms(whole[0]), start__lt=from_ms(whole[1])
    )
    for pk, first, last in late.values_list("machine_id", "start", "end"):
        found[by_pk[pk]].append((to_ms(first), to_ms(last)))
    return {
        machine: _told(machine, found[machine], spans[machine]) for machine in found
    }


def _told(machine: Machine, found: list[Span], span: Span) -> list[Span]:
    inside = [(max(s, span[0]), min(e, span[1])) for s, e in found]
    # Before its first sample there was nothing to miss.
    first_ms = to_ms(machine.first_seen)
    some = [one for one in inside if one[0] < one[1]]
    return [one for one in _overlapping(some) if one[0] > first_ms]


def _holes(gaps: Sequence[Gap]) -> list[Span]:
    """Return when there is no sample; a single one between two holes parts them."""
    found: list[Span] = []
    was_away = False
    for gap in gaps:
        start, end = to_ms(gap.start), to_ms(gap.end)
        is_away = gap.why == "hub away"
        # Where the hub's absence begins or ends there was no sample.
        if found and found[-1][1] == start and (is_away or was_away):
            found[-1] = found[-1][0], end
        else:
            found.append((start, end))
        was_away = is_away
    return found


def _suspicious(
    spans: dict[Machine, Span], whole: Span, missed: float
) -> dict[Machine, list[Span]]:
    """Return the stretches with fewer samples than there should be."""
    first = whole[0] // HOUR_MS
    places = {machine.pk: number for number, machine in enumerate(spans)}
    counts = np.zeros((len(places), whole[1] // HOUR_MS - first + 1))
    for pks, time_ms, samples in buckets.samples(
        HOUR, sorted(places), *map(from_ms, whole)
    ):
        rows = np.array([places[pk] for pk in pks.tolist()], np.int64)
        np.add.at(counts, (rows, time_ms // HOUR_MS - first), samples)
    found = {}
    for machine, own in zip(spans, counts, strict=True):
        span = spans[machine]
        usual = float(np.median(own[own > 0])) if own.any() else 0.0
        few = np.flatnonzero(own <= usual - missed if usual > missed else own >= 0)
        marked = [(int(n + first) * HOUR_MS, int(n + first + 1) * HOUR_MS) for n in few]
        edge = HOUR_MS // 2
        joined = _overlapping([(since - edge, until + edge) for since, until in marked])
        cut = [(max(s, span[0]), min(e, span[1])) for s, e in joined]
        found[machine] = [one for one in cut if one[0] < one[1]]
    return found


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
    left_ms = None if machine.left_at is None else to_ms(machine.left_at)
    times: list[Times] = [np.empty(0, np.int64)]
    values: list[Floats] = [np.empty(0, np.float32)]
    for place, (since, until) in enumerate(silent):
        following = silent[place + 1][0] if place + 1 < len(silent) else span[1]
        at_ms, heard_ms = _heard(deaf, _moments(since, until))
        times.append(at_ms)
        silence = intervals_of(
            seen_ms=since,
            hears_since_ms=heard_ms,
            now_ms=at_ms,
            interval_s=machine.interval_s,
        )
        if left_ms is not None and left_ms >= since - FINE_MS:
            # From then on its silence was meant.
            silence[at_ms >= left_ms] = 0.0
        values.append(silence)
        # It is there again; what must last before an alert ends has its time.
        ends = min(following, until + 2 * FLAPPING_CAP_MS)
        well = _moments(until, ends) if until < span[1] else at_ms[:0]
        times.append(well)
        values.append(np.zeros(len(well), np.float32))
    return np.concatenate(times), np.concatenate(values)


def _moments(since: int, until: int) -> Times:
    finely = np.arange(since, min(until, since + FINELY_MS), FINE_MS, dtype=np.int64)
    later = np.arange(since + FINELY_MS, until, COARSE_MS, dtype=np.int64)
    return np.concatenate([finely, later])


def _heard(deaf: list[Span], at_ms: Times) -> tuple[Times, Times]:
    """Return the moments at which the hub could hear, and since when it could."""
    if not deaf:
        return at_ms, np.zeros_like(at_ms)
    starts, ends = np.array(deaf).T
    ended = np.searchsorted(ends, at_ms, side="right")
    began = np.searchsorted(starts, at_ms, side="right")
    since = np.append(0, ends)[ended]
    hears = began == ended
    return at_ms[hears], since[hears]


def _overlapping(spans: list[Span]) -> list[Span]:
    """Join what overlaps; what only touches has a sample between."""
    found: list[Span] = []
    for since, until in sorted(spans):
        if found and since < found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], until)
        else:
            found.append((since, until))
    return found
