"""Journals and stored rows in, what is wrong out. Pure; shares nothing with the hub."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from hub.testing.oracle import payload
from hub.testing.oracle.journal import Journal, Made
from hub.testing.oracle.payload import Mark

# What the hub takes, with a minute of doubt at either edge.
TAKEN_MS = (-7 * 24 * 3600 * 1000 + 60_000, 4 * 60 * 1000)
# Of each kind of wrong, so many are named.
NAMED = 5

Agent = tuple[str, int]
"""A machine, and which of its agents."""


class Row(NamedTuple):
    machine: str
    sequence: int
    time_ms: int
    values: tuple[float, ...]


@dataclass(slots=True)
class Stored:
    rows: list[Row]
    # How often each sample is there.
    marks: Counter[tuple[str, Mark]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        for row in self.rows:
            if mark := payload.read(row.machine, row.values):
                self.marks[row.machine, mark] += 1


@dataclass(slots=True)
class Verdict:
    """Counts of what was, and sentences about what must not be."""

    produced: int = 0
    stored: int = 0
    refused: int = 0
    evicted: int = 0
    # Lost with a spool that does not outlive its process, and never acknowledged.
    forgone: int = 0
    # Begun when the agent was killed: either outcome is right.
    in_doubt: int = 0
    wrong: list[str] = field(default_factory=list)


def is_refusable(made: Made) -> bool:
    return not TAKEN_MS[0] <= made.shift_ms <= TAKEN_MS[1]


def is_drained(journals: Mapping[Agent, Journal], stored: Stored) -> bool:
    """Tell whether everything that can still come has come."""
    return all(
        len(_missing(agent, journal, stored)) <= sum(journal.evicted.values())
        for agent, journal in journals.items()
    )


def judge(journals: Mapping[Agent, Journal], stored: Stored) -> Verdict:
    """Say what is missing, double, spurious or changed."""
    verdict = Verdict(stored=len(stored.rows))
    lists: dict[str, list[str]] = {}

    def wrong(kind: str, what: str) -> None:
        lists.setdefault(kind, []).append(what)

    for row in stored.rows:
        if fault := _fault(row, journals):
            wrong(*fault)
    for (machine, mark), count in stored.marks.items():
        if count > 1:
            wrong("stored more than once", f"{machine} {mark} x{count}")
    for agent, journal in journals.items():
        missing = _count(agent, journal, stored, verdict)
        # Those that were evicted may have been stored, their acks lost.
        room = sum(journal.evicted.values())
        verdict.evicted += min(room, len(missing))
        for tick in missing if len(missing) > room else ():
            wrong("committed and missing", f"{agent} {tick} {journal.made[tick]}")
        for tick in _acked_in_vain(agent, journal, stored):
            wrong("acknowledged and missing", f"{agent} {tick} {journal.made[tick]}")
    verdict.wrong = [_sentence(kind, found) for kind, found in lists.items()]
    return verdict


def _fault(row: Row, journals: Mapping[Agent, Journal]) -> tuple[str, str] | None:
    """Compare a row with what its agent wrote down."""
    mark = payload.read(row.machine, row.values)
    if mark is None:
        return "not what any agent sent", str(row)
    journal = journals.get((row.machine, mark.lane))
    made = journal.made.get(mark.tick) if journal else None
    if made is None:
        return "spurious: nobody made it", str(row)
    if made.time_ms != row.time_ms:
        return "stored with another time", f"{row} {made}"
    if is_refusable(made):
        return "taken although its time is out of range", str(row)
    if journal and not journal.renewed and made.safe and made.sequence != row.sequence:
        return "stored under another number", f"{row} {made}"
    return None


def _count(
    agent: Agent, journal: Journal, stored: Stored, verdict: Verdict
) -> list[int]:
    """Add the agent's samples up; return the ticks that should be stored."""
    machine, lane = agent
    verdict.produced += len(journal.made)
    for tick, made in journal.made.items():
        if not stored.marks[machine, Mark(lane, tick)]:
            verdict.in_doubt += not made.safe
            verdict.refused += made.safe and is_refusable(made)
            verdict.forgone += _is_forgone(journal, made)
    return _missing(agent, journal, stored)


def _missing(agent: Agent, journal: Journal, stored: Stored) -> list[int]:
    machine, lane = agent
    return [
        tick
        for tick, made in journal.made.items()
        if made.safe
        and not is_refusable(made)
        and not _is_forgone(journal, made)
        and not stored.marks[machine, Mark(lane, tick)]
    ]


def _is_forgone(journal: Journal, made: Made) -> bool:
    """Tell whether it was only in the memory of a process that is gone."""
    is_over = made.safe and made.life < journal.lives and not is_refusable(made)
    return is_over and not made.durable and not _is_acked(journal, made)


def _is_acked(journal: Journal, made: Made) -> bool:
    return made.safe and made.sequence <= journal.done.get(made.epoch, 0)


def _acked_in_vain(agent: Agent, journal: Journal, stored: Stored) -> Iterable[int]:
    """Yield what the hub said it has and has not.

    An ack passes what was evicted: such a spool is judged by its counts alone.
    """
    machine, lane = agent
    if journal.renewed:
        return
    for tick, made in journal.made.items():
        if (
            _is_acked(journal, made)
            and not journal.evicted.get(made.epoch)
            and not is_refusable(made)
            and not stored.marks[machine, Mark(lane, tick)]
        ):
            yield tick


def _sentence(kind: str, found: list[str]) -> str:
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return f"{kind}: {'; '.join(found[:NAMED])}{more}"
