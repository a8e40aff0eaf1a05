"""The tables of alerting, one file for each noun."""

from __future__ import annotations

from hub.alerts.models.alert import Alert, RuleState
from hub.alerts.models.chapter import Chapter
from hub.alerts.models.contact import Contact
from hub.alerts.models.culprit import Culprit
from hub.alerts.models.delivery import Attempt, Delivery, Notice
from hub.alerts.models.maintenance import Maintenance
from hub.alerts.models.outbox import Happening
from hub.alerts.models.route import Route
from hub.alerts.models.rule import Rule
from hub.alerts.models.share import Blindness, Evaluator, Share
from hub.alerts.models.silence import Silence

__all__ = [
    "Alert",
    "Attempt",
    "Blindness",
    "Chapter",
    "Contact",
    "Culprit",
    "Delivery",
    "Evaluator",
    "Happening",
    "Maintenance",
    "Notice",
    "Route",
    "Rule",
    "RuleState",
    "Share",
    "Silence",
]
