from __future__ import annotations

from django.apps import AppConfig


class ControlConfig(AppConfig):
    name = "hub.control"

    def ready(self) -> None:
        # Tags are put on machines in many places, and nothing else tells of it.
        from hub.control import tags

        tags.listen()
