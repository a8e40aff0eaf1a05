"""Where everything is: pages, JSON, health, the admin."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from hub.api.api import api
from hub.health import metrics_views
from hub.health import views as health
from hub.people.oidc import PROVIDER
from hub.web import signin

handler500 = "hub.web.broken.server_error"

urlpatterns = [
    path("", include("hub.web.urls")),
    # Names that the library for OpenID Connect looks up.
    path(
        "sign-in/provider/",
        signin.to_provider,
        {"provider_id": PROVIDER},
        name="openid_connect_login",
    ),
    path(
        "sign-in/provider/callback",
        signin.from_provider,
        {"provider_id": PROVIDER},
        name="openid_connect_callback",
    ),
    path("api/", api.urls),
    path("health", health.health),
    path("ready", health.ready),
    path("metrics", metrics_views.metrics),
    path("metrics/machines", metrics_views.machines),
    path("admin/", admin.site.urls),
]
