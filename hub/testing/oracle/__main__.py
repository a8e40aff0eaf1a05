"""`make chaos`: the long form of the oracle."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from hub.testing.oracle.run import run
from hub.testing.oracle.scenarios import KINDS
from hub.testing.progress import say


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m hub.testing.oracle")
    parser.add_argument("--long", action="store_true", help="all rounds: an hour")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument(
        "--only", action="append", default=[], choices=[kind.name for kind in KINDS]
    )
    parser.add_argument("--keep", type=Path, help="an empty folder for all logs")
    options = parser.parse_args()
    say(f"seed {options.seed}")
    with tempfile.TemporaryDirectory(prefix="oracle-", dir="/tmp") as made:
        ledger = run(
            options.keep or Path(made),
            seed=options.seed,
            long=options.long,
            only=options.only,
        )
    for line in ledger.lines():
        say(line)
    return 1 if ledger.wrong or ledger.void else 0


if __name__ == "__main__":
    sys.exit(main())
