"""The machine that a page is about, if whoever asks may see it."""

from __future__ import annotations

from django.http import Http404, HttpRequest
from django.shortcuts import get_object_or_404

from hub.machines.models import Machine
from hub.machines.registry import visible_to


def find_machine(request: HttpRequest, machine_id: str) -> Machine:
    """Return it, or answer that it is not here."""
    if "\0" in machine_id:
        # PostgreSQL has no NUL in texts and would call the question a fault.
        raise Http404
    return get_object_or_404(visible_to(request.user), machine_id=machine_id)
