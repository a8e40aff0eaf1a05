"""One run of the oracle: a world, its misfortunes, the verdict."""

from __future__ import annotations

import random
import time
from collections.abc import Collection
from pathlib import Path

from hub.testing.oracle import netem
from hub.testing.oracle.fleet import Agent
from hub.testing.oracle.judge import judge
from hub.testing.oracle.ledger import Ledger
from hub.testing.oracle.scenarios import FORGETFUL, KINDS, SPOOL_AGE_S, Kind
from hub.testing.oracle.world import TooLate, World, world

HUBS = ("hub-1", "hub-2")
MACHINES = 5

# Some seconds are usual, and the ledger tells how many; a busy machine gets more.
FRESH_S = 60.0
# Keepalive asks after 30 s and waits 10 s; then the agent has its own pause.
HALF_OPEN_S = 80.0
# The hub learns of an agent's account at most every 10 s.
ACCOUNT_S = 60.0
# Ten minutes of the product, compressed as its intervals are.
LONGEST_S = 20.0


def run(
    folder: Path, *, seed: int, long: bool = False, only: Collection[str] = ()
) -> Ledger:
    """Return the ledger; what went wrong is in it, also when the run broke off."""
    ledger = Ledger(seed)
    rng = random.Random(seed)
    with world(folder, rng, ledger, hub_names=HUBS) as made:
        for number in range(MACHINES):
            made.recruit(f"machine-{number}", hub=number % len(HUBS))
        cut_off = made.recruit("half-open", hub=0)
        # In no scenario but its own: it may lose samples, and says so.
        made.recruit(FORGETFUL, hub=1, spool_age_s=SPOOL_AGE_S).away = True
        if long:
            made.longest_s = LONGEST_S
        try:
            made.fresh(made.fleet, within_s=2 * FRESH_S)
            _misfortunes(made, cut_off, long=long, only=only)
        except TooLate as late:
            ledger.faults.append(str(late))
        _reckon(made)
    if long:
        netem.run(ledger)
    return ledger


def _misfortunes(
    made: World, cut_off: Agent, *, long: bool, only: Collection[str]
) -> None:
    cut_off.line.half_open()
    cut_off.away = True
    since_s, before = time.time(), len(cut_off.welcomes)
    for kind in KINDS:
        if not only or kind.name in only:
            _rounds(made, kind, kind.rounds.long if long else kind.rounds.short)
    with made.ledger.round("half-open line", 1, 1) as tally:
        left_s = since_s + HALF_OPEN_S - time.time()
        made.fresh([cut_off], within_s=max(left_s, FRESH_S))
        tally.slowest_s = cut_off.welcomes[before] - since_s
        if tally.slowest_s > HALF_OPEN_S:
            said = f"a half-open line was noticed after {tally.slowest_s:.0f} s"
            made.ledger.faults.append(said)


def _rounds(made: World, kind: Kind, count: int) -> None:
    for number in range(1, count + 1):
        with made.ledger.round(kind.name, number, count) as tally:
            unwell = kind.run(made)
            try:
                took_s = made.fresh(unwell, within_s=FRESH_S)
            except TooLate as late:
                made.ledger.faults.append(f"{kind.name}: {late}")
                # The next one begins well, or the whole run ends here.
                took_s = made.fresh(unwell, within_s=FRESH_S)
            tally.slowest_s = max(tally.slowest_s, took_s)


def _reckon(made: World) -> None:
    ledger = made.ledger
    with ledger.round("drain", 1, 1):
        stored = made.drain()
    with ledger.round("reckon", 1, 1):
        journals = made.journals
        ledger.verdict = judge(journals, stored)
        ledger.duplicates = made.duplicates()
        ledger.replays = sum(journal.again for journal in journals.values())
        lives = sum(journal.lives for journal in journals.values())
        ledger.reconnects = made.welcomes() - lives
        ledger.faults += made.cries()
        _audit(made)


def _audit(made: World) -> None:
    """Ask the hub for its own account: nothing may be left unexplained."""
    deadline_s = time.monotonic() + ACCOUNT_S
    while True:
        accounts = made.accounts()
        open_ = {name: a["remainder"] for name, a in accounts.items() if a["remainder"]}
        if not open_ or time.monotonic() > deadline_s:
            break
        time.sleep(1)
    made.ledger.accounts = "settled" if not open_ else f"remainders {open_}"
    if open_:
        made.ledger.faults.append(f"the hub's accounts do not settle: {open_}")
