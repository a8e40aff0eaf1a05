"""What an agent of the oracle wrote down: before it produced, and once it was safe.

A line is one write(2), so a killed agent leaves only whole lines.

    life <spool>                         a process begins; the kind of its spool
    make <tick> <time_ms> <shift_ms>     a sample is about to be spooled
    safe <tick> <epoch> <seq> <evicted> <degraded>    the spool has it
    done <epoch> <up_to>                 the hub said so, and the spool forgot
    again <count>                        so many numbers were read a second time
    renew <epoch>                        numbers begin anew for what is there
    end                                  the process ended in good order
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path


class Pen:
    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, word: str, *fields: object) -> None:
        os.write(self._file, (" ".join([word, *map(str, fields)]) + "\n").encode())


@dataclass(slots=True)
class Made:
    """One tick: what became of it, as far as its agent knows."""

    time_ms: int
    # How far the agent's clock was off, by order.
    shift_ms: int
    life: int
    epoch: str = ""
    sequence: int = 0
    # In the spool; and in a spool that outlives its process.
    safe: bool = False
    durable: bool = False


@dataclass(slots=True)
class Journal:
    made: dict[int, Made] = field(default_factory=dict)
    # By epoch: what the hub acknowledged, what the spool dropped.
    done: dict[str, int] = field(default_factory=dict)
    evicted: dict[str, int] = field(default_factory=dict)
    lives: int = 0
    again: int = 0
    # Numbers do not hold across these.
    renewed: bool = False

    @property
    def last(self) -> int:
        return max(self.made, default=0)


def read(path: Path) -> Journal:
    """Read what is there so far; the agent may still be writing."""
    journal = Journal()
    text = path.read_text() if path.exists() else ""
    for line in text[: text.rfind("\n") + 1].splitlines():
        word, *fields = line.split(" ")
        _take(journal, word, fields)
    return journal


def _take(journal: Journal, word: str, fields: list[str]) -> None:
    if word == "life":
        journal.lives += 1
    elif word == "make":
        tick, time_ms, shift_ms = map(int, fields)
        journal.made[tick] = Made(time_ms, shift_ms, journal.lives)
    elif word == "safe":
        tick, sequence = int(fields[0]), int(fields[2])
        made = journal.made[tick]
        made.epoch, made.sequence, made.safe = fields[1], sequence, True
        made.durable = fields[4] == "0"
        journal.evicted[made.epoch] = int(fields[3])
    elif word == "done":
        epoch, up_to = fields[0], int(fields[1])
        journal.done[epoch] = max(up_to, journal.done.get(epoch, 0))
    elif word == "again":
        journal.again += int(fields[0])
    elif word == "renew":
        journal.renewed = True
