"""What the agents describe, to look at: nothing here is a person's to change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin, messages
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest

from hub.people.look_only import LookOnly, NotWritten
from hub.storage.dead_letters import try_again
from hub.storage.models import (
    DeadLetter,
    Late,
    Layout,
    LayoutSeries,
    Metric,
    Watermark,
)

if TYPE_CHECKING:
    _Admin = admin.ModelAdmin[models.Model]
    _Inline = admin.TabularInline[LayoutSeries, Layout]
else:
    # Django's own classes take no type arguments.
    _Admin, _Inline = admin.ModelAdmin, admin.TabularInline


@admin.register(Metric)
class MetricAdmin(LookOnly, _Admin):
    list_display = ("name", "unit", "kind", "help")
    search_fields = ("name", "help")


class SeriesInline(LookOnly, _Inline):
    model = LayoutSeries
    fields = ("position", "metric", "attributes")


@admin.register(Layout)
class LayoutAdmin(LookOnly, _Admin):
    list_display = ("id", "created_at", "last_used")
    inlines = (SeriesInline,)


@admin.register(Watermark)
class WatermarkAdmin(LookOnly, _Admin):
    """How far each tier has come, and why it stands where it does."""

    list_display = ("tier", "since", "until", "closing", "hold", "trouble")


@admin.register(Late)
class LateAdmin(LookOnly, _Admin):
    """Minutes that are to be rolled up again: none that stay for long."""

    list_display = ("machine_id", "minute")
    ordering = ("pk",)
    # Counting them all would cost more than showing a page of them.
    show_full_result_count = False


@admin.register(DeadLetter)
class DeadLetterAdmin(NotWritten, _Admin):
    """Samples that the database refused; each may be tried again, or thrown away."""

    list_display = ("machine", "sequence", "time", "buried_at", "short_reason")
    list_filter = ("machine",)
    readonly_fields = ("machine", "sequence", "time", "received", "layout", "reason")
    fields = readonly_fields
    actions = ("store_again",)

    def has_delete_permission(
        self, request: HttpRequest, obj: models.Model | None = None
    ) -> bool:
        user = request.user
        return user.is_active and user.has_perm("storage.delete_deadletter")

    def has_store_permission(self, request: HttpRequest) -> bool:
        """Storing one again takes it out of here: as much as deleting it."""
        return self.has_delete_permission(request)

    @admin.display(description="reason")
    def short_reason(self, letter: DeadLetter) -> str:
        return letter.reason.partition("\n")[0][:100]

    @admin.action(description="Try again to store", permissions=["store"])
    def store_again(self, request: HttpRequest, letters: QuerySet[DeadLetter]) -> None:
        stored, refused = try_again(letters)
        if stored:
            self.message_user(request, f"Stored: {stored}.", messages.SUCCESS)
        for letter, reason in refused[:10]:
            text = f"Number {letter} is refused again: {reason.partition(chr(10))[0]}"
            self.message_user(request, text, messages.ERROR)
