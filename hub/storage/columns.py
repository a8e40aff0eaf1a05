"""A few series of many machines over time, in a few queries.

parts by tier → where the series stand in each layout → what is picked there
→ points of one width, by series and machine
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

import numpy as np

from hub.storage import layouts
from hub.storage.buckets import fold_rows
from hub.storage.bulk import among, fetch
from hub.storage.database import guard
from hub.storage.fold import Folded, Matrix, Times, merge, starts
from hub.storage.folding import fits
from hub.storage.layouts import LayoutInfo, SeriesInfo, UnknownLayout
from hub.storage.picked import (
    AVERAGE,
    MAX_PLACES,
    VECTORS,
    WEIGHED,
    Picked,
    Span,
    Vectors,
    pick,
)
from hub.storage.rows import of_many
from hub.storage.spans import Part, parts
from hub.storage.tiers import HOUR, MINUTE, RAW, from_ms, to_ms, watermarks

# Chooses the places of a layout.
Choose = Callable[[LayoutInfo], Sequence[int]]


class Column(NamedTuple):
    """One series of one machine, ascending; without a reading there is no point."""

    machine: int
    info: SeriesInfo
    time_ms: Times
    min: Matrix
    avg: Matrix
    max: Matrix


Identity = tuple[str, tuple[tuple[str, str], ...]]
_Way = tuple[tuple[Identity, int], ...]


class _Piece(NamedTuple):
    """Buckets of one series: `content` has one column."""

    info: SeriesInfo
    picked: Picked


def read(
    spans: Sequence[Span],
    choose: Choose,
    width_ms: int,
    *,
    averages_only: bool = False,
) -> list[Column]:
    """Return the chosen series within the spans, in buckets of a minute or wider.

    What `window` says of one machine, of any number of machines. Spans are widened
    to whole buckets; those of one machine must not overlap then. By machine, in the
    order of the spans. Of `averages_only` the extremes mean nothing. Raises
    DatabaseDown.
    """
    whole = [_widened(span, width_ms) for span in spans]
    if not whole:
        return []
    pieces: dict[Identity, list[_Piece]] = {}
    with guard():
        for part, some in _parts(whole, width_ms):
            if part.tier is RAW:
                found = _raw(part, some, choose)
            else:
                vectors = _vectors(part, width_ms, averages_only=averages_only)
                found = _buckets(part, some, choose, vectors)
            for piece in found:
                pieces.setdefault(piece.info.identity, []).append(piece)
    order = {span.machine: number for number, span in enumerate(reversed(spans))}
    columns = [one for same in pieces.values() for one in _columns(same, width_ms)]
    return sorted(columns, key=lambda one: -order[one.machine])


def _vectors(part: Part, width_ms: int, *, averages_only: bool) -> Vectors:
    if not averages_only:
        return VECTORS
    # What is not folded needs no weights; a bucket of two layouts counts both alike.
    return AVERAGE if part.tier.width_ms == width_ms else WEIGHED


def _widened(span: Span, width_ms: int) -> Span:
    start = span.start // width_ms * width_ms
    return Span(span.machine, start, -(-span.end // width_ms) * width_ms)


def _parts(spans: Sequence[Span], width_ms: int) -> Iterator[tuple[Part, list[Span]]]:
    first, last = min(s.start for s in spans), max(s.end for s in spans)
    marks = watermarks()
    for part in parts(from_ms(first), from_ms(last), width_ms / 1000, marks):
        start, end = to_ms(part.start), to_ms(part.end)
        cut = (Span(s.machine, max(s.start, start), min(s.end, end)) for s in spans)
        if some := [span for span in cut if span.start < span.end]:
            yield part, some


# -- rows of a tier


def _buckets(
    part: Part, spans: list[Span], choose: Choose, vectors: Vectors
) -> Iterator[_Piece]:
    machines = {span.machine for span in spans}
    for infos, places, numbers, known in _ways(part, machines, choose):
        own = [span for span in spans if span.machine in known]
        picked = pick(part.tier, own, numbers, places, vectors)
        if picked is not None:
            yield from _apart(infos, picked)


def _ways(
    part: Part, machines: Iterable[int], choose: Choose
) -> Iterator[tuple[list[SeriesInfo], list[int], list[int], set[int]]]:
    """Yield series, their places, and the layouts and machines of which that is so."""
    ways: dict[_Way, tuple[set[int], set[int]]] = {}
    infos: dict[Identity, SeriesInfo] = {}
    for number, machine in _layouts(part, sorted(machines)):
        try:
            layout = layouts.get(number)
        except UnknownLayout:
            continue
        chosen = [(layout.series[place], place) for place in choose(layout)]
        infos |= {info.identity: info for info, _ in chosen}
        for at in range(0, len(chosen), MAX_PLACES):
            some = chosen[at : at + MAX_PLACES]
            way = tuple((info.identity, place) for info, place in some)
            numbers, known = ways.setdefault(way, (set(), set()))
            numbers.add(number)
            known.add(machine)
    for way, (numbers, known) in ways.items():
        told = [infos[identity] for identity, _ in way]
        yield told, [place for _, place in way], sorted(numbers), known


def _layouts(part: Part, machines: list[int]) -> Iterator[tuple[int, int]]:
    """Yield each (layout, machine) of a part.

    Hours know those of their minutes, and are sixty times as few.
    """
    until = watermarks()[HOUR.name].until or part.start
    border = max(part.start, min(part.end, until))
    for tier, start, end in ((HOUR, part.start, border), (MINUTE, border, part.end)):
        if start < end:
            start = from_ms(to_ms(start) // tier.width_ms * tier.width_ms)
            yield from fetch(
                f"SELECT DISTINCT layout_id, machine_id FROM {tier.table}"
                f" WHERE {among('machine_id')} AND time >= %s AND time < %s",
                [machines, start, end],
            )


def _apart(infos: Sequence[SeriesInfo], picked: Picked) -> Iterator[_Piece]:
    for number, info in enumerate(infos):
        column = slice(number, number + 1)
        content = Folded(*(matrix[:, column] for matrix in picked.content.columns()))
        yield _Piece(info, picked._replace(content=content))


# -- samples


def _raw(part: Part, spans: list[Span], choose: Choose) -> Iterator[_Piece]:
    """Fold samples to minutes: they are few, for minutes follow them closely."""
    machines = sorted({span.machine for span in spans})
    for rows in of_many(machines, part.start, part.end) or []:
        if not fits(rows):
            continue
        layout = layouts.get(rows.layout)
        places = list(choose(layout))
        inside = _inside(spans, rows.machine, rows.time_ms)
        if not places or not inside.any():
            continue
        some = rows._replace(
            machine=rows.machine[inside],
            time_ms=rows.time_ms[inside],
            values=rows.values[inside][:, places],
        )
        folded = fold_rows(some, MINUTE.width_ms)
        picked = Picked(folded.machine, folded.time_ms, folded.content)
        yield from _apart([layout.series[place] for place in places], picked)


def _inside(
    spans: Sequence[Span], machine: Times, time_ms: Times
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    found = np.zeros(len(machine), np.bool_)
    for number, own in groupby(sorted(spans), key=lambda span: span.machine):
        mine = np.flatnonzero(machine == number)
        edges = np.array([(span.start, span.end) for span in own])
        place = np.searchsorted(edges[:, 0], time_ms[mine], side="right") - 1
        found[mine] = (place >= 0) & (time_ms[mine] < edges[place, 1])
    return found


# -- points


def _columns(same: Sequence[_Piece], width_ms: int) -> Iterator[Column]:
    """Fold the buckets of one series, and part them by machine."""
    machine = np.concatenate([piece.picked.machine for piece in same])
    time_ms = np.concatenate([piece.picked.time_ms for piece in same])
    content = Folded.concatenate([piece.picked.content for piece in same])
    has = content.count[:, 0] > 0
    order = np.flatnonzero(has)[np.lexsort((time_ms[has], machine[has]))]
    machine, bucket = machine[order], time_ms[order] // width_ms
    content = content.take(order)
    first = starts(machine, bucket)
    if len(first) < len(machine):
        content = merge(content, first)
        machine, bucket = machine[first], bucket[first]
    edges = [*starts(machine).tolist(), len(machine)] if len(machine) else []
    for start, end in pairwise(edges):
        rows = slice(start, end)
        low, average, high = (
            np.ascontiguousarray(part[rows, 0])
            for part in (content.low, content.average, content.high)
        )
        info = same[0].info
        yield Column(
            int(machine[start]), info, bucket[rows] * width_ms, low, average, high
        )
