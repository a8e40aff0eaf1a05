"""HTTP and WebSockets, for `daphne hub.asgi:application` and `manage.py up`."""

from __future__ import annotations

import os

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
http = get_asgi_application()

# Only now are the apps loaded that the consumers import.
from hub.health.background import Measured  # noqa: E402
from hub.live.routing import websocket_urlpatterns  # noqa: E402
from hub.storage.database import answer_within  # noqa: E402
from hub.web.door import guard  # noqa: E402

guard()
if settings.REDIS_URL:
    # This process serves people and has no other work.
    answer_within(settings.PAGE_STATEMENT_TIMEOUT_S)

application = Measured(
    ProtocolTypeRouter(
        {
            "http": http,
            "websocket": AuthMiddlewareStack(URLRouter(websocket_urlpatterns)),
        }
    )
)
