"""Pages of the admin that are for administrators alone."""

from __future__ import annotations

from django.db.models import Model
from django.http import HttpRequest

from hub.people.roles import may_administer


class Office:
    """For administrators, whatever a person's permissions say.

    Who may change people may make an administrator of anybody, also of themselves.
    """

    def has_module_permission(self, request: HttpRequest) -> bool:
        return may_administer(request.user)

    def has_view_permission(
        self, request: HttpRequest, obj: Model | None = None
    ) -> bool:
        return may_administer(request.user)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return may_administer(request.user)

    def has_change_permission(
        self, request: HttpRequest, obj: Model | None = None
    ) -> bool:
        return may_administer(request.user)

    def has_delete_permission(
        self, request: HttpRequest, obj: Model | None = None
    ) -> bool:
        return may_administer(request.user)
