"""Administrators may everything in the admin, whether superusers or by their group."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import BaseBackend

from hub.people.roles import Asker, may_administer


class Administrators(BaseBackend):
    """Signs nobody in: it only answers what somebody may."""

    def has_perm(self, user_obj: Asker, perm: str, obj: Any = None) -> bool:
        return may_administer(user_obj)

    def has_module_perms(self, user_obj: Asker, app_label: str) -> bool:
        return may_administer(user_obj)
