"""Pages of the admin for what the program writes by itself."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest


class NotWritten:
    """Nobody makes or changes one here; who has the permission may delete it."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class LookOnly(NotWritten):
    """Seen by who has the permission, and nobody's to change, whoever it is."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
