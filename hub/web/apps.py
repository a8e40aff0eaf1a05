from __future__ import annotations

from django.apps import AppConfig
from django.contrib.admin import apps as admin


class WebConfig(AppConfig):
    name = "hub.web"
    default = True


class AdminConfig(admin.AdminConfig):
    default = False
    default_site = "hub.web.admin_site.Site"
