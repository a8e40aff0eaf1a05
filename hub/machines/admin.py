"""Machines in the admin: the shown name and the tags are a person's to change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.http import HttpRequest

from hub.machines.models import Machine, Tag

if TYPE_CHECKING:
    _Base = admin.ModelAdmin[Machine]
    _TagBase = admin.ModelAdmin[Tag]
else:
    # Django's own class takes no type arguments.
    _Base = _TagBase = admin.ModelAdmin


@admin.register(Machine)
class MachineAdmin(_Base):
    list_display = ("machine_id", "name", "os", "agent_version", "last_hello")
    list_filter = ("tags",)
    search_fields = ("machine_id", "name")
    autocomplete_fields = ("tags",)
    readonly_fields = tuple(
        field.name for field in Machine._meta.fields if field.name != "name"
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        # A machine is added by starting its agent.
        return False


@admin.register(Tag)
class TagAdmin(_TagBase):
    search_fields = ("name",)
