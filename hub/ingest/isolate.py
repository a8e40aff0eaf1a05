"""What the database refuses is found, set aside for people, and holds nobody up."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from django.db import (
    DatabaseError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
)

from hub.ingest.decode import finite
from hub.log import get_logger
from hub.storage import provisional
from hub.storage.database import DatabaseDown, blames_a_row
from hub.storage.raw import Incoming, RefusedAt, Written
from hub.storage.sample import StoredSample

log = get_logger(__name__)

Item = Incoming | RefusedAt
Write = Callable[[Sequence[Incoming], Sequence[RefusedAt]], Written]
Bury = Callable[[Incoming, str], None]

# These speak of the hub, not of a sample: no table, a full disk, a lost line.
# The samples are innocent and wait.
HUB_FAULTS = (
    DatabaseDown,
    OperationalError,
    ProgrammingError,
    InternalError,
    InterfaceError,
    NotSupportedError,
    MemoryError,
    OSError,
)

# A sample that stands alone is tried so often, so far apart; after so many of a
# batch once must do, for the queue has to flow on.
TRIES = 3
PAUSE_S = 0.05
PATIENT_WITH = 20


@dataclass(slots=True)
class Outcome:
    """What became of a batch; kept while it is tried again."""

    stored: list[StoredSample] = field(default_factory=list)
    duplicates: int = 0
    # In the table of dead letters.
    buried: list[tuple[Incoming, Exception]] = field(default_factory=list)
    # Machines that were deleted meanwhile: nothing of theirs is acknowledged.
    gone: set[int] = field(default_factory=set)


class Isolator:
    """Writes a batch in as few transactions as its worst sample allows."""

    def __init__(
        self,
        write: Write,
        bury: Bury,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._write, self._bury, self._sleep = write, bury, sleep

    def store(self, items: Sequence[Item], outcome: Outcome) -> None:
        """Write the items; halve them until what is refused stands alone.

        Blocking. Raises the HUB_FAULTS; `outcome` then holds what is done so far,
        and writing the same items again finds it as duplicates.
        """
        error = self._refused(items, outcome)
        if error is None:
            return
        if len(items) > 1:
            # In order, so that the cursor does not pass what is not decided yet.
            middle = len(items) // 2
            self.store(items[:middle], outcome)
            self.store(items[middle:], outcome)
            return
        for _ in range(TRIES - 1 if len(outcome.buried) < PATIENT_WITH else 0):
            self._sleep(PAUSE_S)
            error = self._refused(items, outcome)
            if error is None:
                return
        self._give_up(items[0], error, outcome)

    def _refused(self, items: Sequence[Item], outcome: Outcome) -> Exception | None:
        """Write; return why the database blames one of the items."""
        incoming = [item for item in items if isinstance(item, Incoming)]
        refused = [item for item in items if isinstance(item, RefusedAt)]
        try:
            written = self._write(finite(numbered(incoming)), refused)
        except HUB_FAULTS as fault:
            if isinstance(fault, DatabaseError) and blames_a_row(fault):
                return fault
            raise
        except Exception as error:  # noqa: BLE001 - one bad sample must not stop all
            return error
        outcome.stored.extend(written.stored)
        outcome.duplicates += written.duplicates
        outcome.gone |= written.gone
        return None

    def _give_up(self, item: Item, error: Exception, outcome: Outcome) -> None:
        if isinstance(item, RefusedAt):
            # No row of anybody's: the database itself is not well.
            raise error
        [numbered_] = numbered([item])
        self._bury(numbered_, str(error))
        outcome.buried.append((item, error))


def numbered(batch: list[Incoming]) -> list[Incoming]:
    """Return the batch with provisional layouts replaced by stored ones.

    Blocking. Raises DatabaseDown.
    """
    if not provisional.were_given():
        return batch
    return [
        Incoming(i.sample._replace(layout=provisional.stored(i.sample.layout)), i.epoch)
        if i.sample.layout < 0
        else i
        for i in batch
    ]


def tell(outcome: Outcome) -> None:
    """Say it once per machine: a person must look."""
    machines: dict[int, list[int]] = {}
    for incoming, _ in outcome.buried:
        sample = incoming.sample
        machines.setdefault(sample.machine, []).append(sample.sequence)
    for machine, sequences in machines.items():
        log.error(
            "sample.buried",
            machine=machine,
            sequences=sequences[:20],
            count=len(sequences),
            error=repr(outcome.buried[0][1]),
        )
