"""`manage.py archive list|restore`: hours that have left the database."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from hub.storage.archive import ArchiveFailed, open_archive, restore

HELD_DAYS = 7


class Command(BaseCommand):
    help = "Show what the archive holds, or put days of it back."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("list", help="show the days that are kept")
        back = actions.add_parser("restore", help="put days back into the database")
        back.add_argument("first", metavar="FROM", type=_day, help="YYYY-MM-DD")
        back.add_argument("last", metavar="TO", type=_day, help="YYYY-MM-DD, included")
        back.add_argument(
            "--days",
            type=int,
            default=HELD_DAYS,
            help="how long no hours expire after this (default: %(default)s)",
        )

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        try:
            if action == "list":
                self._list()
            else:
                self._restore(options)
        except ArchiveFailed as failed:
            raise CommandError(str(failed)) from None

    def _list(self) -> None:
        days = open_archive().days()
        for day, size in days:
            self.stdout.write(f"{day}  {size:>12,} bytes")
        self.stdout.write(f"{len(days)} days.")

    def _restore(self, options: dict[str, Any]) -> None:
        first, last = options["first"], options["last"]
        if first > last:
            raise CommandError("FROM must not be later than TO.")
        until = timezone.now() + timedelta(days=options["days"])
        count = restore(first, last, until=until)
        if not count:
            raise CommandError(
                f"The archive has nothing from {first} to {last} that the database "
                "does not hold."
            )
        self.stdout.write(
            f"Restored {count} hours of machines; no hours expire before {until:%F %R}."
        )


def _day(text: str) -> date:
    return date.fromisoformat(text)
