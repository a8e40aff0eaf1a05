"""Rules are made and changed here; alerts and blindness are looked at."""

from __future__ import annotations

from hub.alerts.admin.alert import AlertAdmin, BlindnessAdmin
from hub.alerts.admin.contact import ContactAdmin
from hub.alerts.admin.delivery import DeliveryAdmin
from hub.alerts.admin.rule import RuleAdmin
from hub.alerts.admin.telling import MaintenanceAdmin, RouteAdmin, SilenceAdmin

__all__ = [
    "AlertAdmin",
    "BlindnessAdmin",
    "ContactAdmin",
    "DeliveryAdmin",
    "MaintenanceAdmin",
    "RouteAdmin",
    "RuleAdmin",
    "SilenceAdmin",
]
