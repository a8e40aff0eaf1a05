"""`manage.py signinlink [USERNAME]`: print a link that signs a person in once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from hub.people import owner, signin


class Command(BaseCommand):
    help = "Print a link that signs a person in, once. Without a name: the owner."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", nargs="?", help="default: the hub's owner")
        parser.add_argument(
            "--hours", type=float, default=24, help="how long it works (default: 24)"
        )

    def handle(
        self, *args: Any, username: str | None, hours: float, **options: Any
    ) -> None:
        if not 0 < hours <= 24 * 366:
            raise CommandError("--hours must be more than 0 and at most 8784.")
        user = _named(username) if username else owner.owner()
        path = signin.make_link(user, lifetime=timedelta(hours=hours))
        self.stdout.write(signin.address(path))


def _named(username: str) -> User:
    user = User.objects.filter(username=username).first()
    if user is None:
        raise CommandError(f"There is no user named {username!r}.")
    if not user.is_active:
        raise CommandError(f"{username!r} is not active: no link would let them in.")
    return user
