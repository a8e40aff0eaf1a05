"""People in the admin: who they are, what they may, what they did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import QuerySet
from django.http import HttpRequest

from hub.people import audit, second, sessions
from hub.people.look_only import LookOnly
from hub.people.models import ApiToken, AuditEntry
from hub.people.office import Office

if TYPE_CHECKING:
    _TokenBase = admin.ModelAdmin[ApiToken]
    _AuditBase = admin.ModelAdmin[AuditEntry]
    _PersonBase = UserAdmin[User]
else:
    # Django's own classes take no type arguments.
    _TokenBase = _AuditBase = admin.ModelAdmin
    _PersonBase = UserAdmin

# allauth's own pages would show second factors and addresses that nobody edits here.
for model in (EmailAddress, Authenticator, SocialAccount, SocialApp, SocialToken):
    if admin.site.is_registered(model):
        admin.site.unregister(model)
admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class PersonAdmin(Office, _PersonBase):
    list_display = ("username", "email", "roles", "is_active", "last_login")
    list_filter = ("is_active", "groups", "is_superuser")
    readonly_fields = ("last_login", "date_joined")
    actions = ("sign_out", "forget_second_factor")

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")

    @admin.display(description="role")
    def roles(self, user: User) -> str:
        names = [group.name for group in user.groups.all()]
        return ", ".join(["superuser"] if user.is_superuser else names) or "viewer"

    @admin.action(description="Sign out everywhere", permissions=["change"])
    def sign_out(self, request: HttpRequest, chosen: QuerySet[User]) -> None:
        for user in chosen:
            count = sessions.end(user)
            audit.of(request, "sessions.ended", user.get_username(), count=count)
        self.message_user(request, "They are signed out.", messages.SUCCESS)

    @admin.action(description="Turn the second factor off", permissions=["change"])
    def forget_second_factor(
        self, request: HttpRequest, chosen: QuerySet[User]
    ) -> None:
        for user in chosen:
            second.turn_off(user)
            audit.of(request, "second_factor.off", user.get_username())
        self.message_user(request, "They sign in without one.", messages.SUCCESS)


@admin.register(Group)
class RoleAdmin(Office, GroupAdmin):
    pass


@admin.register(ApiToken)
class ApiTokenAdmin(Office, _TokenBase):
    """Seen, renamed, limited, revoked; never made here."""

    list_display = ("name", "user", "scope", "created_at", "expires_at", "last_used_at")
    list_filter = ("scope",)
    list_select_related = ("user",)
    search_fields = ("name", "user__username")
    readonly_fields = ("user", "scope", "created_at", "last_used_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        # The secret is shown once, to the one whose it is.
        return False


@admin.register(AuditEntry)
class AuditAdmin(LookOnly, Office, _AuditBase):
    """Read, searched, and nobody's to change."""

    list_display = ("at", "by_name", "action", "subject", "address", "more")
    list_filter = (("at", admin.DateFieldListFilter), "action")
    search_fields = ("by_name", "subject", "address", "action")
    date_hierarchy = "at"
    actions = None

    @admin.display(description="detail")
    def more(self, entry: AuditEntry) -> str:
        return ", ".join(f"{name}: {value}" for name, value in entry.detail.items())
