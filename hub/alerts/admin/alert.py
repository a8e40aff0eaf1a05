"""What happened, in the admin: searchable, and nobody's to change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin

from hub.alerts.models import Alert, Blindness
from hub.people.look_only import LookOnly

if TYPE_CHECKING:
    _AlertBase = admin.ModelAdmin[Alert]
    _BlindnessBase = admin.ModelAdmin[Blindness]
else:
    # Django's own class takes no type arguments.
    _AlertBase = _BlindnessBase = admin.ModelAdmin


@admin.register(Alert)
class AlertAdmin(LookOnly, _AlertBase):
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
class BlindnessAdmin(LookOnly, _BlindnessBase):
    list_display = ("start", "end", "why")
