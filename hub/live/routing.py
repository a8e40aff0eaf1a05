"""Where sockets go."""

from __future__ import annotations

from typing import Any

from django.urls import path

from hub.live.consumer import LiveConsumer

# Any: Django's path takes an ASGI application, but its types know only views.
_live: Any = LiveConsumer.as_asgi()

websocket_urlpatterns: list[Any] = [path("ws", _live)]
