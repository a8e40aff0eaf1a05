"""What was done to the system, and what came of it; printed in the end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from hub.testing.oracle.judge import Verdict
from hub.testing.progress import say


@dataclass(slots=True)
class Tally:
    """One kind of scenario, all its rounds."""

    rounds: int = 0
    lasted_s: float = 0.0
    # From healed to the first fresh sample of the last machine: the worst round.
    slowest_s: float = 0.0


@dataclass(slots=True)
class Ledger:
    seed: int
    tallies: dict[str, Tally] = field(default_factory=dict)
    # What the run itself found wrong, as sentences.
    faults: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)
    duplicates: int = 0
    reconnects: int = 0
    replays: int = 0
    accounts: str = "not asked"
    # Without these the run has shown nothing.
    needed: tuple[str, ...] = ("duplicate", "reconnect", "replay", "sample")
    began_s: float = field(default_factory=time.monotonic)

    @property
    def wrong(self) -> list[str]:
        return [*self.faults, *self.verdict.wrong]

    @property
    def void(self) -> list[str]:
        """Return what never happened, and should have."""
        happened = {
            "duplicate": self.duplicates,
            "reconnect": self.reconnects,
            "replay": self.replays,
            "sample": self.verdict.stored,
        }
        return [f"no {name}" for name in self.needed if not happened[name]]

    @contextmanager
    def round(self, name: str, number: int, of: int) -> Iterator[Tally]:
        tally = self.tallies.setdefault(name, Tally())
        tally.rounds += 1
        began_s = time.monotonic()
        yield tally
        now_s = time.monotonic()
        tally.lasted_s += now_s - began_s
        took_s, at_s = now_s - began_s, now_s - self.began_s
        say(f"{at_s:5.0f} s  {name} {number}/{of}: {took_s:.1f} s")

    def lines(self) -> Iterator[str]:
        verdict = self.verdict
        yield f"{'scenario':<28}{'rounds':>7}{'seconds':>9}{'fresh again after':>19}"
        for name, tally in self.tallies.items():
            slowest = f"{tally.slowest_s:.1f} s" if tally.slowest_s else "-"
            yield f"{name:<28}{tally.rounds:>7}{tally.lasted_s:>9.1f}{slowest:>19}"
        for name in self.skipped:
            yield f"SKIPPED: {name}"
        yield ""
        yield (
            f"produced {verdict.produced} = stored {verdict.stored}"
            f" + refused {verdict.refused} + evicted {verdict.evicted}"
            f" + in doubt {verdict.in_doubt} + in memory only {verdict.forgone}"
            f" + missing {self.remainder}"
        )
        yield (
            f"duplicates absorbed {self.duplicates} · reconnects {self.reconnects}"
            f" · replayed {self.replays} · hub's own accounts: {self.accounts}"
        )
        yield from (f"WRONG: {sentence}" for sentence in self.wrong)
        yield from (f"VOID: {name} happened" for name in self.void)
        end = "wrong" if self.wrong else "void" if self.void else "all well"
        took_s = time.monotonic() - self.began_s
        yield f"{end}; {took_s:.0f} s; again with --seed {self.seed}"

    @property
    def remainder(self) -> int:
        v = self.verdict
        return v.produced - (v.stored + v.refused + v.evicted + v.in_doubt + v.forgone)
