"""Who sees which machines, in the admin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from hub.machines.models import Sight
from hub.people.office import Office

if TYPE_CHECKING:
    _Base = admin.ModelAdmin[Sight]
else:
    # Django's own class takes no type arguments.
    _Base = admin.ModelAdmin


@admin.register(Sight)
class SightAdmin(Office, _Base):
    list_display = ("__str__", "limited_to")
    autocomplete_fields = ("user", "group", "tags")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Sight]:
        found = super().get_queryset(request).select_related("user", "group")
        return found.prefetch_related("tags")

    @admin.display(description="sees")
    def limited_to(self, sight: Sight) -> str:
        names = [tag.name for tag in sight.tags.all()]
        return ", ".join(names) or "no machines"
