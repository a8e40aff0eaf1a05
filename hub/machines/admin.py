"""Machines in the admin: the shown name and the tags are a person's to change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from hub.machines import clones, credentials, enrolment
from hub.machines.models import Credential, EnrolmentToken, Machine, Tag
from hub.machines.sight_admin import SightAdmin
from hub.people import address, person
from hub.people.look_only import NotWritten

__all__ = ["SightAdmin"]

if TYPE_CHECKING:
    from django.forms import ModelForm

    _Base = admin.ModelAdmin[Machine]
    _TagBase = admin.ModelAdmin[Tag]
    _TokenBase = admin.ModelAdmin[EnrolmentToken]
    _CredentialBase = admin.ModelAdmin[Credential]
else:
    # Django's own class takes no type arguments.
    _Base = _TagBase = _TokenBase = _CredentialBase = admin.ModelAdmin


# What people call what is only shown.
LABELS = {
    "machine_id": "Machine",
    "os": "System",
    "agent_version": "Agent",
    "boot_time": "Booted",
    "interval_s": "Interval",
    "last_hello": "Last connected",
    "left_at": "Stopped",
}


@admin.register(Machine)
class MachineAdmin(_Base):
    list_display = ("machine_id", "name", "os", "agent_version", "last_hello")
    list_filter = ("tags",)
    search_fields = ("machine_id", "name")
    autocomplete_fields = ("tags",)
    readonly_fields = tuple(
        field.name for field in Machine._meta.fields if field.name not in ("id", "name")
    )

    def get_form(
        self,
        request: HttpRequest,
        obj: Machine | None = None,
        change: bool = False,
        **kwargs: Any,
    ) -> type[ModelForm[Machine]]:
        return super().get_form(request, obj, change, labels=LABELS, **kwargs)

    def has_add_permission(self, request: HttpRequest) -> bool:
        # A machine is added by starting its agent.
        return False


@admin.register(Tag)
class TagAdmin(_TagBase):
    search_fields = ("name",)


@admin.register(EnrolmentToken)
class EnrolmentTokenAdmin(NotWritten, _TokenBase):
    """Seen and revoked; made on the page where its secret is shown."""

    list_display = (
        *("__str__", "machine", "uses_left", "made_by"),
        *("created_at", "expires_at", "revoked_at"),
    )
    list_select_related = ("machine", "made_by")
    search_fields = ("name", "machine__machine_id")
    actions = ("revoke",)

    @admin.action(description="Revoke", permissions=["delete"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[EnrolmentToken]) -> None:
        by, place = person.of(request), address.of(request)
        ended = sum(
            enrolment.revoke_token(token.pk, by, address=place) for token in chosen
        )
        messages.success(request, f"Revoked: {ended}.")


@admin.register(Credential)
class CredentialAdmin(NotWritten, _CredentialBase):
    """Seen and revoked; nothing of the secret is kept to be seen."""

    list_display = (
        *("machine", "created_at", "rotated_at", "last_used_at"),
        *("revoked_at", "clone_seen_at"),
    )
    list_filter = ("revoked_at",)
    list_select_related = ("machine",)
    search_fields = ("machine__machine_id",)
    fields = (
        *("machine", "token", "created_at", "rotated_at", "rotations", "last_used_at"),
        *("revoked_at", "clone_seen_at", "certificate_serial"),
    )
    actions = ("revoke", "trust")

    @admin.action(description="Revoke all of these machines", permissions=["delete"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[Credential]) -> None:
        by, place = person.of(request), address.of(request)
        machines = {one.machine.pk for one in chosen}
        for pk in machines:
            credentials.revoke(pk, by, address=place)
        messages.success(request, f"Machines cut off: {len(machines)}.")

    @admin.action(
        description="Not a clone: take whoever comes next", permissions=["delete"]
    )
    def trust(self, request: HttpRequest, chosen: QuerySet[Credential]) -> None:
        by, place = person.of(request), address.of(request)
        for one in chosen:
            clones.forget(one.pk, by, address=place)
        messages.success(request, f"Trusted again: {len(chosen)}.")
