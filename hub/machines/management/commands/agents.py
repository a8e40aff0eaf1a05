"""`manage.py agents list|revoke|trust`: who speaks for which machine."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from hub.machines import clones, credentials
from hub.machines.models import Credential, Machine


class Command(BaseCommand):
    help = "List agents' credentials, revoke a machine's, or settle a clone."
    # They load every page, and this serves none.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("list", help="show all, without their secrets")
        for name, text in (
            ("revoke", "cut a machine's agent off within seconds"),
            ("trust", "take whoever comes next for the right agent of a machine"),
        ):
            action = actions.add_parser(name, help=text)
            action.add_argument("machine")

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        match action:
            case "list":
                self._list()
            case "revoke":
                self._revoke(_live(options["machine"]))
            case "trust":
                self._trust(_live(options["machine"]))

    def _list(self) -> None:
        for one in Credential.objects.select_related("machine").order_by(
            "machine__machine_id", "created_at"
        ):
            state = "cloned" if one.is_cloned else "live" if one.is_live else "revoked"
            used = f"{one.last_used_at:%Y-%m-%d}" if one.last_used_at else "never"
            self.stdout.write(
                f"{one.machine.machine_id}  {state} since={one.created_at:%Y-%m-%d} "
                f"rotations={one.rotations} last-used={used}"
            )

    def _revoke(self, one: Credential) -> None:
        credentials.revoke(one.machine.pk, None)
        self.stdout.write(f"Revoked {one.machine.machine_id}.")

    def _trust(self, one: Credential) -> None:
        clones.forget(one.pk, None)
        self.stdout.write(f"Whoever comes next is {one.machine.machine_id}.")


def _live(machine_id: str) -> Credential:
    machine = Machine.objects.filter(machine_id=machine_id).first()
    found = credentials.newest(machine.pk) if machine else None
    if found is None or not found.is_live:
        raise CommandError(f"{machine_id!r} has no credential to revoke or trust.")
    return found
