"""A file of the archive: one row for each hour of each series, for any program.

Only imported where an archive is used: pyarrow is an extra.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from hub.machines.models import Machine
from hub.storage import layouts
from hub.storage.buckets import Buckets
from hub.storage.fold import Folded
from hub.storage.layouts import SeriesInfo, UnknownLayout
from hub.storage.models import Metric

_TEXT = pa.dictionary(pa.int32(), pa.string())
_NUMBERS = ("count", "min", "avg", "max")
SCHEMA = pa.schema(
    [
        ("time", pa.timestamp("ms", tz="UTC")),
        ("machine", _TEXT),
        ("metric", _TEXT),
        # A JSON object, its keys sorted.
        ("attributes", _TEXT),
        ("unit", _TEXT),
        ("count", pa.int64()),
        ("min", pa.float32()),
        ("avg", pa.float32()),
        ("max", pa.float32()),
    ]
)


@dataclass(frozen=True, slots=True)
class Part:
    """Hours of one layout, and what their machines are called."""

    hours: Buckets
    names: dict[int, str]


@dataclass(frozen=True, slots=True)
class Content:
    """What a file holds: how many rows, and a sum over all numbers in them."""

    rows: int
    crc: int


def write(files: Any, path: str, parts: Iterable[Part]) -> Content:
    """Write a file; return what went into it. Raises OSError."""
    rows, crc = 0, 0
    with (
        files.open_output_stream(path) as stream,
        pq.ParquetWriter(stream, SCHEMA, compression="zstd") as writer,
    ):
        for part in parts:
            table = _table(part)
            if table.num_rows:
                writer.write_table(table, row_group_size=table.num_rows)
                rows, crc = rows + table.num_rows, _crc(table, crc)
    return Content(rows, crc)


def read_back(files: Any, path: str) -> Content:
    """Return what is in a file. Raises OSError, ValueError."""
    rows, crc = 0, 0
    for table in _tables(files, path):
        rows, crc = rows + table.num_rows, _crc(table, crc)
    return Content(rows, crc)


def read(files: Any, path: str) -> list[Buckets]:
    """Return a file's hours; machines and layouts are made known if they are not."""
    return [hours for table in _tables(files, path) for hours in _hours(table)]


def _tables(files: Any, path: str) -> Iterator[Any]:
    with files.open_input_file(path) as stream:
        file = pq.ParquetFile(stream, read_dictionary=[*_texts()])
        for number in range(file.num_row_groups):
            yield file.read_row_group(number)


def _texts() -> Iterator[str]:
    return (field.name for field in SCHEMA if field.type == _TEXT)


def _crc(table: Any, crc: int) -> int:
    for name in ("time", *_NUMBERS):
        column = table.column(name).to_numpy()
        crc = zlib.crc32(np.ascontiguousarray(column).tobytes(), crc)
    return crc


def _table(part: Part) -> Any:
    hours = part.hours
    try:
        series = layouts.get(hours.layout).series
    except UnknownLayout:
        return SCHEMA.empty_table()
    machines, codes = np.unique(hours.machine, return_inverse=True)
    rows, places = np.nonzero(hours.content.count)
    count, *rest = (matrix[rows, places] for matrix in hours.content.columns())

    def text(numbers: Any, words: Iterable[str]) -> Any:
        # The same word may stand for several places.
        known: dict[str, int] = {}
        place = np.array([known.setdefault(w, len(known)) for w in words], np.int32)
        return pa.DictionaryArray.from_arrays(pa.array(place[numbers]), [*known])

    return pa.Table.from_arrays(
        [
            pa.array(hours.time_ms[rows], pa.timestamp("ms", tz="UTC")),
            text(codes[rows], [part.names[pk] for pk in machines.tolist()]),
            text(places, [info.metric for info in series]),
            text(places, [_json(info) for info in series]),
            text(places, [info.unit for info in series]),
            pa.array(count.astype(np.int64)),
            *(pa.array(matrix) for matrix in rest),
        ],
        schema=SCHEMA,
    )


def _json(info: SeriesInfo) -> str:
    return json.dumps(dict(info.attributes), sort_keys=True, ensure_ascii=False)


def _hours(table: Any) -> Iterator[Buckets]:
    """Yield each machine's hours; series that a row does not name have count 0."""
    machine, names = _coded(table, "machine")
    (metric, metrics), (told, tellings), (unit, units) = (
        _coded(table, name) for name in ("metric", "attributes", "unit")
    )
    series = np.stack([metric, told, unit], axis=1)
    time_ms = table.column("time").cast(pa.int64()).to_numpy()
    numbers = [table.column(name).to_numpy().astype(np.float32) for name in _NUMBERS]
    described = {found.name: found for found in Metric.objects.all()}
    for code, name in enumerate(names):
        here = np.flatnonzero(machine == code)
        if not len(here):
            continue
        kinds, column = np.unique(series[here], axis=0, return_inverse=True)
        moments, row = np.unique(time_ms[here], return_inverse=True)
        column, row = column.reshape(-1), row.reshape(-1)
        infos = [
            _info(metrics[m], tellings[a], units[u], described)
            for m, a, u in kinds.tolist()
        ]
        matrices = []
        for some, blank in zip(numbers, (0, np.nan, np.nan, np.nan), strict=True):
            matrix = np.full((len(moments), len(kinds)), blank, np.float32)
            matrix[row, column] = some[here]
            matrices.append(matrix)
        known, _ = Machine.objects.get_or_create(machine_id=name)
        keys = np.full(len(moments), known.pk, np.int64)
        yield Buckets(layouts.learn(infos).id, keys, moments, Folded(*matrices))


def _coded(table: Any, name: str) -> tuple[Any, list[str]]:
    column = table.column(name).combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0)
    return column.indices.to_numpy(), column.dictionary.to_pylist()


def _info(
    name: str, attributes: str, unit: str, described: dict[str, Metric]
) -> SeriesInfo:
    # The file does not say what kind a metric is; what is known is not unlearnt.
    metric = described.get(name)
    return SeriesInfo(
        name,
        metric.unit if metric else unit,
        metric.kind if metric else "gauge",
        metric.help if metric else "",
        tuple(sorted(json.loads(attributes).items())),
    )
