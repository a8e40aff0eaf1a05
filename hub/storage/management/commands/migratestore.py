"""`manage.py migratestore FILE`: an embedded hub's history moves to TimescaleDB."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from hub.storage import migrate_people, migrate_store
from hub.storage.database import DatabaseDown
from hub.storage.source import Unusable, opened

WIDTH = 30
# On a terminal the line is redrawn; elsewhere a line now and then will do.
REDRAWN_S, SAID_S = 0.1, 5.0


class Command(BaseCommand):
    help = (
        "Copy machines, samples, minutes and hours from an embedded hub's SQLite "
        "file into TimescaleDB. May be interrupted and repeated."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="such as var/sysmonstm.sqlite3")
        parser.add_argument("--people", action="store_true", help="accounts as well")
        parser.add_argument(
            "--again", action="store_true", help="look at every row, copied or not"
        )
        parser.add_argument("--batch", type=int, default=migrate_store.BATCH)

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        if connection.vendor != "postgresql":
            raise CommandError(
                "The copy goes into PostgreSQL: set TIMESCALE_URL to where, and run "
                "`manage.py migrate` there."
            )
        if options["batch"] < 1:
            raise CommandError("--batch must be at least 1.")
        try:
            with opened(file) as source:
                if options["again"]:
                    migrate_store.forget(source)
                missing = migrate_store.copy(
                    source, batch=options["batch"], told=Bar(self.stderr.write)
                )
                people = migrate_people.people(source) if options["people"] else 0
        except Unusable as unusable:
            raise CommandError(str(unusable)) from None
        except DatabaseDown as down:
            raise CommandError(
                f"The database went away ({down}). What was copied stays copied: "
                "run this again to go on."
            ) from None
        for one in missing:
            self.stderr.write(
                f"{one.machine_id}: {one.table} has {one.here} of {one.there} rows."
            )
        if missing:
            raise CommandError("Not everything arrived: run this again with --again.")
        if options["people"]:
            self.stdout.write(f"{people} accounts copied.")
        self.stdout.write("Everything is here: every machine's rows were counted.")


class Bar:
    """Draws how far a table is, how fast it goes and how long it will take."""

    def __init__(
        self,
        write: Callable[..., object],
        *,
        is_terminal: bool | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._write, self._clock = write, clock
        self._redraws = sys.stderr.isatty() if is_terminal is None else is_terminal
        self._table, self._first, self._since, self._said_at = "", 0, 0.0, 0.0

    def __call__(self, table: str, done: int, total: int) -> None:
        now = self._clock()
        if table != self._table:
            self._table, self._first, self._since = table, done, now
        elif done < total and now - self._said_at < self._every_s():
            return
        self._said_at = now
        ends = done >= total or not self._redraws
        self._write(
            ("\r" if self._redraws else "") + self._line(done, total, now),
            ending="\n" if ends else "",
        )

    def _every_s(self) -> float:
        return REDRAWN_S if self._redraws else SAID_S

    def _line(self, done: int, total: int, now: float) -> str:
        share = done / total if total else 1.0
        bar = "#" * int(share * WIDTH)
        rate = (done - self._first) / max(now - self._since, 1e-9)
        left_s = (total - done) / rate if rate else 0
        return (
            f"{self._table:<20} [{bar:<{WIDTH}}] {share:4.0%}  {done:,} of {total:,}"
            f"  {rate:,.0f} rows/s  {timedelta(seconds=round(left_s))} left "
        )
