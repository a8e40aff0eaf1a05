"""The project as an app, so that its system checks are heard."""

from __future__ import annotations

from django.apps import AppConfig


class HubConfig(AppConfig):
    name = "hub"
    verbose_name = "sysmonstm"

    def ready(self) -> None:
        # Registering is an import's side effect; it needs the apps loaded.
        from hub import checks  # noqa: F401
