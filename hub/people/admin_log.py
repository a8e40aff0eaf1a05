"""What is written in the admin, and by the API beside it, is written down here too.

Both note a change in Django's own log. A signal, because that is the only place which
all of them pass.
"""

from __future__ import annotations

from typing import Any

from allauth.core import context
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.db.models.signals import post_save
from django.http import HttpRequest

from hub.people import address, audit

DID = {ADDITION: "made", CHANGE: "changed", DELETION: "deleted"}


def follow() -> None:
    post_save.connect(_written, sender=LogEntry, dispatch_uid="audit")


def _written(instance: LogEntry, created: bool, **kwargs: Any) -> None:
    if not created:
        return
    model = instance.content_type.model_class() if instance.content_type else None
    if model is None:
        return
    # None outside of a request.
    request: HttpRequest | None = context.request
    audit.record(
        instance.user,
        audit.admin_action(model, DID.get(instance.action_flag, "changed")),
        instance.object_repr,
        address=address.of(request) if request else "",
        said=instance.get_change_message(),
    )
