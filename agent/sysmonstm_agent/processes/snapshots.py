"""Two looks at the table of processes become a snapshot for the hub."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from heapq import nlargest
from itertools import chain, islice, zip_longest
from typing import Literal, NamedTuple, Protocol

from sysmonstm_proto import limits
from sysmonstm_proto import metrics_pb2 as pb

from sysmonstm_agent.layout import spell
from sysmonstm_agent.processes.masking import mask
from sysmonstm_agent.processes.table import Io, Row

# By processor, by memory, by I/O.
EACH = limits.MAX_PROCESSES // 3

Arguments = Literal["masked", "none", "full"]


class Told(NamedTuple):
    """What does not change while a process lives, or hardly."""

    name: str
    user: str
    command: str
    started_unix_ms: int


class Source(Protocol):
    """Where processes are read: /proc, or psutil."""

    def rows(self) -> list[Row]: ...

    def io(self, pid: int) -> Io | None: ...

    def command(self, pid: int) -> list[str]: ...

    def user(self, pid: int) -> str: ...

    def started_unix_ms(self, row: Row) -> int: ...


class Used(NamedTuple):
    """What a process used since the look before."""

    row: Row
    cpu: float
    io: tuple[float, float] | None

    @property
    def io_total(self) -> float:
        return sum(self.io) if self.io else 0.0


Key = tuple[int, float]


class Snapshots:
    def __init__(
        self,
        source: Source,
        *,
        arguments: Arguments,
        memory_bytes: int,
        clock: Callable[[], float],
        wall: Callable[[], float],
        each: int = EACH,
        most: int = limits.MAX_PROCESSES,
    ) -> None:
        """Tell of `each` first ones of a ranking, at most `most` together."""
        self._source, self._arguments = source, arguments
        self._each, self._most = each, most
        # Of the last look, told or not.
        self.total = 0
        self._memory_bytes = memory_bytes
        self._clock, self._wall = clock, wall
        self._at_s = 0.0
        # Of the look before, by pid and start.
        self._cpu_s: dict[Key, float] = {}
        # The start of the youngest process then.
        self._youngest = 0.0
        # None: this process's may not be read.
        self._io: dict[Key, Io | None] = {}
        self._told: dict[Key, Told] = {}

    def show(self, arguments: Arguments) -> None:
        """Tell command lines like this from the next look on."""
        self._arguments = arguments
        self._told = {}

    def take(self) -> pb.ProcessSnapshot | None:
        """Look; None at the first time, when there is nothing to compare with."""
        now_s, taken_ms = self._clock(), int(self._wall() * 1000)
        rows = self._source.rows()
        self.total = len(rows)
        before, self._cpu_s = self._cpu_s, {r[:2]: r.cpu_s for r in rows}
        youngest = self._youngest
        self._youngest = max((row.started for row in rows), default=0.0)
        span_s, self._at_s = now_s - self._at_s, now_s
        if not before:
            self._io = {row[:2]: self._source.io(row.pid) for row in rows}
            return None
        self._io = {key: io for key, io in self._io.items() if key in self._cpu_s}
        for row in rows:
            if row[:2] not in before:
                before[row[:2]] = self._begin(row, is_new=row.started >= youngest)
        used = [self._use(row, before[row[:2]], span_s) for row in rows]
        chosen = list(islice(top(used, self._each), self._most))
        told = {one.row[:2]: self._tell(one.row) for one in chosen}
        self._told = told
        return pb.ProcessSnapshot(
            taken_unix_ms=taken_ms,
            span_ms=round(span_s * 1000),
            entries=[self._entry(one, told[one.row[:2]]) for one in chosen],
        )

    def _begin(self, row: Row, *, is_new: bool) -> float:
        """Return what a process had used when its time began to count."""
        if is_new:
            return 0.0
        # It could not be read before: nobody knows when it used what it has.
        self._io[row[:2]] = self._source.io(row.pid)
        return row.cpu_s

    def _use(self, row: Row, before_s: float, span_s: float) -> Used:
        cpu_s = row.cpu_s - before_s
        if cpu_s > 0 or row.waits:
            return Used(row, max(cpu_s, 0.0) / span_s, self._use_io(row, span_s))
        # Who used no processor at all moved no bytes that are worth the look.
        known = self._io.get(row[:2])
        return Used(row, 0.0, (0.0, 0.0) if known else None)

    def _use_io(self, row: Row, span_s: float) -> tuple[float, float] | None:
        key = row[:2]
        before = self._io.get(key, Io(0, 0))
        if before is None:
            return None
        now = self._io[key] = self._source.io(row.pid)
        if now is None:
            return None
        # What was moved before the last look was seen then: see `_use`.
        read, written = (
            max(a - b, 0) / span_s for a, b in zip(now, before, strict=True)
        )
        return read, written

    def _tell(self, row: Row) -> Told:
        known = self._told.get(row[:2])
        # A process that executes another program has another name then.
        if known is not None and known.name == row.name:
            return known
        return Told(
            row.name,
            self._source.user(row.pid),
            self._command(row.pid),
            self._source.started_unix_ms(row),
        )

    def _command(self, pid: int) -> str:
        if self._arguments == "none":
            return ""
        arguments = self._source.command(pid)
        full = self._arguments == "full"
        return " ".join(arguments) if full else mask(arguments)

    def _entry(self, used: Used, told: Told) -> pb.ProcessEntry:
        row = used.row
        entry = pb.ProcessEntry(
            pid=row.pid,
            name=cut(told.name, limits.MAX_TEXT_BYTES),
            user=cut(told.user, limits.MAX_TEXT_BYTES),
            command=cut(told.command, limits.MAX_COMMAND_BYTES),
            started_unix_ms=told.started_unix_ms,
            cpu=used.cpu,
            memory_bytes=row.memory_bytes,
        )
        if self._memory_bytes:
            entry.memory = min(row.memory_bytes / self._memory_bytes, 1.0)
        if used.io is not None:
            entry.read_bytes_per_s, entry.write_bytes_per_s = used.io
        return entry


def top(used: Iterable[Used], each: int = EACH) -> Iterator[Used]:
    """Yield the first few of each ranking, each process once.

    The rankings take turns, so that a beginning of it is fair to all.
    """
    used = list(used)
    by_cpu = nlargest(each, (u for u in used if u.cpu > 0), lambda u: u.cpu)
    by_memory = nlargest(each, used, lambda u: u.row.memory_bytes)
    by_io = nlargest(each, (u for u in used if u.io_total > 0), lambda u: u.io_total)
    seen: set[Key] = set()
    for one in chain.from_iterable(zip_longest(by_cpu, by_memory, by_io)):
        if one is not None and one.row[:2] not in seen:
            seen.add(one.row[:2])
            yield one


def cut(text: str, limit_bytes: int) -> str:
    """Return as much as fits, in characters that can be seen."""
    if text.isascii() and text.isprintable():
        return text[:limit_bytes]
    raw = b"".join(map(spell, text[:limit_bytes]))
    return raw[:limit_bytes].decode("utf-8", "ignore")
