"""A machine's agent, for administrators: what it proves itself with, and cutting it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from hub.machines import credentials
from hub.machines.models import Machine
from hub.people import address, person
from hub.people.policy import administrator
from hub.people.roles import may_administer
from hub.web.find import find_machine


@never_cache
@administrator
@require_POST
def revoke(request: HttpRequest, machine_id: str) -> HttpResponse:
    """Make the agent's secret worthless: its stream ends within seconds."""
    machine = find_machine(request, machine_id)
    credentials.revoke(machine.pk, person.of(request), address=address.of(request))
    found = {"machine": machine, "was_asked": True, **context(request, machine)}
    return render(request, "web/credential.html", found)


def context(request: HttpRequest, machine: Machine) -> dict[str, Any]:
    """Return what the section needs; nothing for those who may not administer."""
    if not may_administer(request.user):
        return {"may_administer": False}
    now = timezone.now()
    credential = credentials.newest(machine.pk)
    found: dict[str, Any] = {"may_administer": True, "credential": credential}
    if credential:
        for name in ("created_at", "rotated_at", "revoked_at", "last_used_at"):
            moment = getattr(credential, name)
            found[name.replace("_at", "_age_s")] = (
                (now - moment).total_seconds() if moment else None
            )
    return found
