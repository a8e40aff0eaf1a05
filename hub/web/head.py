"""The head of a machine's pages: what it is, its state, how old that is."""

from __future__ import annotations

import time
from typing import Any

from django.http import HttpRequest

from hub.machines.models import Machine
from hub.storage import layouts, states
from hub.storage.sample import StoredSample
from hub.storage.summary import plan
from hub.web import alarms, rows
from hub.web.facts import facts


def context(request: HttpRequest, machine: Machine) -> dict[str, Any]:
    """Return what the template and its script need, for a page with nothing live."""
    sample = states.latest([machine]).get(machine.pk)
    found = facts(alarms.of(request)) | {"machine": machine.machine_id}
    return {"facts": found, **of(request, machine, sample)}


def of(
    request: HttpRequest, machine: Machine, sample: StoredSample | None
) -> dict[str, Any]:
    """Return what the template needs to know of the machine's newest sample."""
    now_ms = time.time_ns() // 1_000_000
    summary = plan(layouts.get(sample.layout)).read(sample.values) if sample else None
    row = rows.row(machine, sample, summary, now_ms, alarms.of(request))
    return {
        "row": row,
        "state_word": rows.WORDS[row.state],
        "summary": summary,
        "tags": machine.tags.all(),
    }
