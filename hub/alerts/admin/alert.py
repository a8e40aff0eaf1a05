"""What happened, in the admin: searchable, and nobody's to change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from hub.alerts.models import Alert, Blindness

if TYPE_CHECKING:
    _AlertBase = admin.ModelAdmin[Alert]
    _BlindnessBase = admin.ModelAdmin[Blindness]
else:
    # Django's own class takes no type arguments.
    _AlertBase = _BlindnessBase = admin.ModelAdmin


class _Seen:
    """History is read."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(
        self, request: HttpRequest, obj: Model | None = None
    ) -> bool:
        return False

    def has_delete_permission(
        self, request: HttpRequest, obj: Model | None = None
    ) -> bool:
        return False


@admin.register(Alert)
class AlertAdmin(_Seen, _AlertBase):
    list_display = (
        "rule_name",
        "machine_title",
        "metric",
        "state",
        "peak_severity",
        "opened_at",
        "resolved_at",
    )
    list_filter = ("state", "peak_severity", "opened_at")
    search_fields = ("machine_title", "metric", "snapshot__name")
    date_hierarchy = "opened_at"


@admin.register(Blindness)
class BlindnessAdmin(_Seen, _BlindnessBase):
    list_display = ("start", "end", "why")
