"""Tokens in the admin: seen, renamed, limited, revoked; never made there."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from hub.people.models import ApiToken


@admin.register(ApiToken)
class ApiTokenAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # no generic at run time
    list_display = ("name", "user", "scope", "created_at", "expires_at", "last_used_at")
    list_filter = ("scope",)
    list_select_related = ("user",)
    search_fields = ("name", "user__username")
    readonly_fields = ("user", "scope", "created_at", "last_used_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        # The secret is shown once, by `manage.py apitoken create`.
        return False
