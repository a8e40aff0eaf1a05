"""`manage.py enroltoken create|list|revoke`: what new agents come with."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from hub.checks import grpc_speaks_tls
from hub.machines import authority, enrolment
from hub.machines.models import EnrolmentToken, Machine, Tag


class Command(BaseCommand):
    help = "Make, list or revoke tokens that agents are enrolled with."
    # They load every page, and this serves none.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        create = actions.add_parser("create", help="make one; its secret shows once")
        create.add_argument("name", nargs="?", default="", help="what it is for")
        create.add_argument(
            "--tag", action="append", default=[], help="may be repeated"
        )
        create.add_argument("--machine", help="enrol this machine anew")
        create.add_argument("--uses", type=int, default=1, help="machines (default: 1)")
        create.add_argument("--hours", type=float, default=1, help="(default: 1)")
        actions.add_parser("list", help="show those that still open something")
        revoke = actions.add_parser("revoke", help="make one useless at once")
        revoke.add_argument("number", type=int, help="as `list` shows it")

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        match action:
            case "create":
                self._create(options)
            case "list":
                self._list()
            case "revoke":
                self._revoke(options["number"])

    def _create(self, options: dict[str, Any]) -> None:
        try:
            secret, token = enrolment.make_token(
                None,
                name=options["name"],
                tags=[_tag(name) for name in options["tag"]],
                machine=_machine(options["machine"]) if options["machine"] else None,
                uses=options["uses"],
                lifetime=timedelta(hours=options["hours"]),
            )
        except (enrolment.BadToken, OverflowError) as refused:
            raise CommandError(str(refused)) from None
        trusted = authority.fingerprint() if grpc_speaks_tls() else ""
        self.stderr.write(
            f"Until {_moment(token.expires_at)}; it is not shown again."
            + (f" The hub's fingerprint is {trusted}." if trusted else "")
        )
        # Alone on standard output, so that a script can take it.
        self.stdout.write(secret)

    def _list(self) -> None:
        now = timezone.now()
        for token in EnrolmentToken.objects.select_related("machine", "made_by"):
            if not token.opens(now):
                continue
            by = token.made_by.get_username() if token.made_by else "manage.py"
            machine = f" machine={token.machine.machine_id}" if token.machine else ""
            self.stdout.write(
                f"{token.pk}  {token}  uses={token.uses_left} by={by}{machine} "
                f"expires={_moment(token.expires_at)}"
            )

    def _revoke(self, number: int) -> None:
        if not enrolment.revoke_token(number, None):
            raise CommandError(f"Token {number} opens nothing.")
        self.stdout.write(f"Revoked token {number}.")


def _tag(name: str) -> Tag:
    found = Tag.objects.filter(name=name).first()
    if found is None:
        raise CommandError(f"There is no tag named {name!r}.")
    return found


def _machine(machine_id: str) -> Machine:
    found = Machine.objects.filter(machine_id=machine_id).first()
    if found is None:
        raise CommandError(f"There is no machine named {machine_id!r}.")
    return found


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
