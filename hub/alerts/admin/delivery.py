"""The ledger of deliveries in the admin: read, and the dead ones tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from hub.alerts.delivery import revive
from hub.alerts.models import Attempt, Delivery, Notice
from hub.people.look_only import LookOnly

if TYPE_CHECKING:
    _Base = admin.ModelAdmin[Delivery]
    _AttemptBase = admin.TabularInline[Attempt, Delivery]
    _NoticeBase = admin.TabularInline[Notice, Delivery]
else:
    # Django's own classes take no type arguments.
    _Base = admin.ModelAdmin
    _AttemptBase = _NoticeBase = admin.TabularInline


class AttemptInline(LookOnly, _AttemptBase):
    model = Attempt
    extra = 0


class NoticeInline(LookOnly, _NoticeBase):
    model = Notice
    extra = 0
    fields = ("alert", "what", "number", "created_at")


@admin.register(Delivery)
class DeliveryAdmin(LookOnly, _Base):
    list_display = ("created_at", "contact", "state", "due_at", "attempts_made", "said")
    list_filter = ("state", "contact", "created_at")
    list_select_related = ("contact",)
    date_hierarchy = "created_at"
    fields = (
        "contact",
        "state",
        "held",
        "created_at",
        "due_at",
        "sent_at",
        "attempts_made",
        "key",
    )
    inlines = (AttemptInline, NoticeInline)
    actions = ("try_again",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        return super().get_queryset(request).prefetch_related("attempts")

    @admin.display(description="last answer")
    def said(self, delivery: Delivery) -> str:
        attempts = list(delivery.attempts.all())
        return attempts[-1].said if attempts else ""

    @admin.action(description="Try the dead ones again", permissions=["revive"])
    def try_again(self, request: HttpRequest, chosen: QuerySet[Delivery]) -> None:
        count = revive(chosen)
        self.message_user(request, f"{count} will be tried again within seconds.")

    def has_revive_permission(self, request: HttpRequest) -> bool:
        # Of the contact: messages go where it leads.
        return request.user.has_perm("alerts.change_contact")
