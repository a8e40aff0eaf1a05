from __future__ import annotations

from django.apps import AppConfig


class PeopleConfig(AppConfig):
    name = "hub.people"

    def ready(self) -> None:
        from hub.people import admin_log

        admin_log.follow()
