from __future__ import annotations

from django.urls import path

from hub.web.install import views

urlpatterns = [
    path("hub.json", views.hub_json, name="hub_json"),
    path("agent.sh", views.agent_sh, name="agent_sh"),
    path("uninstall.sh", views.uninstall_sh, name="uninstall_sh"),
    path("sysmonstm-agent.service", views.unit, name="unit"),
    path("requirements.txt", views.requirements_txt, name="requirements"),
    path("Dockerfile", views.dockerfile, name="dockerfile"),
    path("wheels/", views.wheels, name="wheels"),
    path("wheels/<str:filename>", views.wheel, name="wheel"),
]
