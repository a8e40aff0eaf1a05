"""Which samples were shown before they were durable: each is told once."""

from __future__ import annotations

from collections.abc import Iterable

from hub.storage.sample import StoredSample

# Of one machine: runs of numbers without a hole. Beyond this the oldest is
# forgotten, and its samples are told again when they are stored.
MAX_RUNS = 32


class Told:
    """Runs of numbers per machine, within its present spool."""

    def __init__(self) -> None:
        # Each run is [first, last], ascending.
        self._runs: dict[int, tuple[bytes, list[list[int]]]] = {}

    def __bool__(self) -> bool:
        return bool(self._runs)

    def add(self, machine: int, epoch: bytes, sequence: int) -> bool:
        """Note a number; False: it was told before."""
        known, runs = self._runs.get(machine, (epoch, []))
        if known != epoch:
            runs = []
        self._runs[machine] = epoch, runs
        if any(first <= sequence <= last for first, last in runs):
            return False
        for run in runs:
            if run[1] + 1 == sequence:
                run[1] = sequence
                return True
        runs.append([sequence, sequence])
        runs.sort()
        del runs[:-MAX_RUNS]
        return True

    def news(self, stored: Iterable[StoredSample]) -> list[StoredSample]:
        """Return those that were not told, in order; they are durable now.

        What is below a stored number never comes again, and is forgotten.
        """
        return [sample for sample in stored if not self._settle(sample)]

    def _settle(self, sample: StoredSample) -> bool:
        """Tell whether this one was told; forget everything up to it."""
        known = self._runs.get(sample.machine)
        if known is None:
            return False
        runs, sequence = known[1], sample.sequence
        while runs and runs[0][1] < sequence:
            del runs[0]
        was_told = bool(runs) and runs[0][0] <= sequence
        if was_told and runs[0][1] == sequence:
            del runs[0]
        if not runs:
            del self._runs[sample.machine]
        return was_told
