"""`manage.py apitoken create|list|revoke`: keys for programs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from hub.people import owner, tokens
from hub.people.models import ApiToken, Scope

MAX_DAYS = 3660


class Command(BaseCommand):
    help = "Make, list or revoke tokens for the REST API."
    # They load every page, and this serves none.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        create = actions.add_parser("create", help="make one; its secret shows once")
        create.add_argument("name", help="what it is for")
        create.add_argument("--user", help="whose it is (default: the hub's owner)")
        create.add_argument("--scope", choices=Scope.values, default=Scope.READ.value)
        create.add_argument("--days", type=float, help="how long (default: for ever)")
        actions.add_parser("list", help="show all, without their secrets")
        revoke = actions.add_parser("revoke", help="make one useless at once")
        revoke.add_argument("name")

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        match action:
            case "create":
                self._create(options)
            case "list":
                self._list()
            case "revoke":
                self._revoke(options["name"])

    def _create(self, options: dict[str, Any]) -> None:
        user = _named(options["user"]) if options["user"] else owner.owner()
        try:
            secret = tokens.create(
                options["name"],
                user,
                scope=options["scope"],
                expires_at=_after(options["days"]),
            )
        except ValidationError as refused:
            raise CommandError(" ".join(refused.messages)) from None
        self.stderr.write("Keep this secret: it is not shown again.")
        # Alone on standard output, so that a script can take it.
        self.stdout.write(secret)

    def _list(self) -> None:
        for token in ApiToken.objects.select_related("user"):
            self.stdout.write(
                f"{token.name}  user={token.user.get_username()} scope={token.scope} "
                f"created={_day(token.created_at)} expires={_day(token.expires_at)} "
                f"last-used={_day(token.last_used_at)}"
            )

    def _revoke(self, name: str) -> None:
        deleted, _ = ApiToken.objects.filter(name=name).delete()
        if not deleted:
            raise CommandError(f"There is no token named {name!r}.")
        self.stdout.write(f"Revoked {name}.")


def _named(username: str) -> User:
    user = User.objects.filter(username=username, is_active=True).first()
    if user is None:
        raise CommandError(f"There is no active user named {username!r}.")
    return user


def _after(days: float | None) -> datetime | None:
    if days is None:
        return None
    if not 0 < days <= MAX_DAYS:
        raise CommandError(f"--days must be more than 0 and at most {MAX_DAYS}.")
    return timezone.now() + timedelta(days=days)


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment else "never"
