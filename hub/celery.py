"""Periodic work: one table, run by Celery's beat or by the embedded loop."""

from __future__ import annotations

import os

from celery import Celery
from celery.schedules import crontab

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")

app = Celery("hub")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

app.conf.update(
    accept_content=["json"],
    task_ignore_result=True,
    # A task that dies with its worker is run again; tasks are idempotent.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_time_limit=300,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "visibility_timeout": 600,
        "socket_timeout": 10,
        "socket_keepalive": True,
    },
    timezone="UTC",
)

app.conf.beat_schedule = {
    "canary": {
        "task": "hub.health.tasks.canary",
        "schedule": 30.0,
        # It tells that work is done now; late ones would tell a lie.
        "options": {"expires": 60},
    },
    "roll-up": {
        "task": "hub.storage.tasks.roll_up",
        "schedule": 60.0,
        # The next one does what this one would have.
        "options": {"expires": 50},
    },
    "expire": {
        "task": "hub.storage.tasks.expire_tiers",
        "schedule": crontab(minute="7"),
    },
    "tend-chunks": {
        "task": "hub.storage.tasks.tend_chunks",
        "schedule": crontab(minute="*/10"),
    },
    "deliver": {
        "task": "hub.alerts.tasks.deliver",
        "schedule": 5.0,
        # The rows wait in the database; late tasks would only queue behind it.
        "options": {"expires": 10},
    },
    "tend-rollouts": {
        "task": "hub.control.tasks.tend_rollouts",
        "schedule": 5.0,
        # The next one judges what this one would have.
        "options": {"expires": 10},
    },
    "forget-tokens": {
        "task": "hub.machines.tasks.forget_tokens",
        "schedule": crontab(minute="29", hour="3"),
    },
    "forget-expired": {
        "task": "hub.people.tasks.forget_expired",
        "schedule": crontab(minute="23", hour="3"),
    },
}
