"""A machine that gets a tag gets the tag's settings at once."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import m2m_changed

from hub.control import changed
from hub.machines.models import Machine


def listen() -> None:
    m2m_changed.connect(_hear, sender=Machine.tags.through, dispatch_uid="control")


def _hear(
    sender: object,
    instance: Any,
    action: str,
    reverse: bool,
    pk_set: set[int] | None,
    **more: object,
) -> None:
    if action not in ("post_add", "post_remove", "post_clear"):
        return
    if not reverse:
        changed.tell([instance.pk])
    elif pk_set:
        changed.tell(pk_set)
    else:
        changed.tell()
