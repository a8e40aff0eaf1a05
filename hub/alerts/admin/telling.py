"""Who hears what, and when nobody does: routes, silences, maintenance windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from hub.alerts import matchers
from hub.alerts.admin.week import DaysField
from hub.alerts.matchers import Row
from hub.alerts.models import Maintenance, Route, Silence

if TYPE_CHECKING:
    _RouteBase = admin.ModelAdmin[Route]
    _RouteForm = forms.ModelForm[Route]
    _SilenceBase = admin.ModelAdmin[Silence]
    _SilenceForm = forms.ModelForm[Silence]
    _WindowBase = admin.ModelAdmin[Maintenance]
    _WindowForm = forms.ModelForm[Maintenance]
else:
    # Django's own classes take no type arguments.
    _RouteBase = _SilenceBase = _WindowBase = admin.ModelAdmin
    _RouteForm = _SilenceForm = _WindowForm = forms.ModelForm


class RouteForm(_RouteForm):
    days = DaysField()


@admin.register(Route)
class RouteAdmin(_RouteBase):
    form = RouteForm
    list_display = ("name", "position", "enabled", "level", "remind_every_s")
    list_editable = ("position", "enabled")
    search_fields = ("name",)
    filter_horizontal = ("contacts", "escalate_to", "tags", "rules")
    fieldsets = (
        (None, {"fields": ("name", "enabled", "position")}),
        ("Which alerts", {"fields": ("level", "tags", "rules")}),
        ("When", {"fields": (("hours_from", "hours_until"), "days", "zone")}),
        ("Who", {"fields": ("contacts", "group_wait_s", "tell_resolved")}),
        (
            "Until somebody acknowledges",
            {
                "fields": (
                    ("remind_every_s", "remind_times"),
                    "escalate_after_s",
                    "escalate_to",
                )
            },
        ),
    )


class SilenceForm(_SilenceForm):
    matchers = forms.CharField(
        required=False,
        label="Series",
        help_text="mountpoint=/data, device!=loop*. Empty: every series.",
    )

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        rows = matchers.from_rows(self.instance.matchers)
        self.initial["matchers"] = matchers.written(rows)

    def clean_matchers(self) -> list[Row]:
        try:
            return matchers.to_rows(matchers.parse(self.cleaned_data["matchers"]))
        except matchers.BadMatcher as error:
            raise ValidationError(str(error)) from error


@admin.register(Silence)
class SilenceAdmin(_SilenceBase):
    form = SilenceForm
    list_display = ("reason", "machine", "tag", "rule", "until", "created_by")
    list_select_related = ("tag", "rule", "created_by")
    list_filter = ("until",)
    search_fields = ("reason", "machine")
    readonly_fields = ("created_by", "created_at")

    def save_model(
        self, request: HttpRequest, obj: Silence, form: Any, change: bool
    ) -> None:
        if not change:
            obj.created_by_id = request.user.pk
        super().save_model(request, obj, form, change)


class MaintenanceForm(_WindowForm):
    days = DaysField()


@admin.register(Maintenance)
class MaintenanceAdmin(_WindowBase):
    form = MaintenanceForm
    list_display = ("name", "enabled", "kind", "starts_at", "start", "length")
    list_editable = ("enabled",)
    search_fields = ("name",)
    filter_horizontal = ("tags", "machines")
    fieldsets = (
        (None, {"fields": ("name", "enabled")}),
        ("When", {"fields": ("kind", "starts_at", "start", "days", "zone", "length")}),
        ("Which machines", {"fields": ("all_machines", "tags", "machines")}),
    )
