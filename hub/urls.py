"""Where everything is: pages, JSON, health, the admin."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from hub.api.api import api
from hub.health import metrics_views
from hub.health import views as health

handler500 = "hub.web.broken.server_error"

urlpatterns = [
    path("", include("hub.web.urls")),
    path("api/", api.urls),
    path("health", health.health),
    path("ready", health.ready),
    path("metrics", metrics_views.metrics),
    path("metrics/machines", metrics_views.machines),
    path("admin/", admin.site.urls),
]
