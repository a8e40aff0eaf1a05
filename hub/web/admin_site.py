"""The admin's door: who gets in, and what is written down of what they do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib.admin import AdminSite
from django.contrib.admin.actions import delete_selected
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from hub.machines.registry import is_limited
from hub.people import audit
from hub.people.roles import may_administer

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin


class Site(AdminSite):
    site_header = "sysmonstm"
    site_title = "sysmonstm"
    index_title = "Administration"

    def __init__(self, name: str = "admin") -> None:
        super().__init__(name)
        self.disable_action("delete_selected")
        self.add_action(_delete_selected, "delete_selected")

    def get_app_list(
        self, request: HttpRequest, app_label: str | None = None
    ) -> list[Any]:
        """Name Django's own part as people would."""
        found = super().get_app_list(request, app_label)
        for app in found:
            if app["app_label"] == "auth":
                app["name"] = "Users and groups"
        return found

    def has_permission(self, request: HttpRequest) -> bool:
        """Let administrators in, and staff that may see every machine.

        Of staff each model's permissions decide further. What the admin shows is
        about all machines: whoever is limited to some does not belong here.
        """
        user = request.user
        if not user.is_active:
            return False
        return may_administer(user) or (
            bool(getattr(user, "is_staff", False)) and not is_limited(user)
        )

    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Send strangers to the one sign-in page: it counts tries and asks codes."""
        if request.user.is_authenticated:
            return redirect("web:overview")
        asked = urlencode({"next": request.GET.get("next", reverse("admin:index"))})
        return redirect(f"{reverse('web:sign_in')}?{asked}")

    def password_change(  # type: ignore[override]  # that one renders a page
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Send people to the one page that counts tries at the old password."""
        return redirect("web:you")


def _delete_selected(
    modeladmin: ModelAdmin[Any], request: HttpRequest, queryset: QuerySet[Any]
) -> HttpResponseBase | None:
    # Django writes these into its own log all at once, past every signal.
    if request.POST.get("post"):
        named = ", ".join(str(one) for one in queryset[:10])
        count = queryset.count()
        audit.of(
            request, audit.admin_action(queryset.model, "deleted"), named, count=count
        )
    return delete_selected(modeladmin, request, queryset)


_delete_selected.allowed_permissions = ("delete",)  # type: ignore[attr-defined]
_delete_selected.short_description = delete_selected.short_description  # type: ignore[attr-defined]
