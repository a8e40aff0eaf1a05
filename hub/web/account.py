"""What became of every sample of a machine, said so that it adds up."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from hub.machines.models import Machine
from hub.people.policy import viewer
from hub.storage.account import Account, account
from hub.storage.database import DatabaseDown
from hub.web.find import find_machine
from hub.web.templatetags import units

# A clock that is right to this is right enough to compare machines by.
SKEW_MS = 2_000


class Term(NamedTuple):
    """A number of the account; `sign` is what stands before it."""

    sign: str
    name: str
    text: str
    help: str
    # "" or "warning", where a person should look.
    level: str = ""


class Fact(NamedTuple):
    name: str
    text: str
    help: str
    level: str = ""
    start_ms: int | None = None
    end_ms: int | None = None


HELP = {
    "Produced": "Samples that the agent has taken since its spool began.",
    "Stored": "Committed to the hub's database, each exactly once.",
    "Evicted": "Dropped by the agent because its spool was full: the hub was away for "
    "longer than the spool can hold.",
    "Refused": "The hub would never store them, such as samples of a clock that is "
    "years off. The agent's log says why.",
    "Spooled": "Still on the machine's disk, on their way. A few are usual.",
    "Lost": "Went with a spool that was damaged, or that never came back, before the "
    "present one began.",
    "Repeats absorbed": "Came twice because an acknowledgement got lost. Each was "
    "stored once.",
    "Last backfill": "When the samples were taken that last came late, after a gap in "
    "the line.",
    "Clock": "The machine's clock against the hub's.",
    "Acknowledged in": "From a sample's arrival until the agent was told that it is "
    "stored: the median and the 99th of a hundred.",
    "Spool": "What the agent's spool takes on the machine's disk.",
}


@never_cache
@viewer
@require_safe
def show(request: HttpRequest, machine_id: str) -> HttpResponse:
    """Return the account alone, for a page that keeps it fresh."""
    machine = find_machine(request, machine_id)
    return render(request, "web/account.html", {"machine": machine, **context(machine)})


def context(machine: Machine) -> dict[str, Any]:
    """Return what the template needs; the rest of a page does not wait for it."""
    try:
        found = account(machine)
    except DatabaseDown:
        return {"account": None, "account_is_away": True}
    if found is None:
        return {"account": None}
    return {
        "account": found,
        "account_state": "critical" if not found.is_settled else _state(found),
        "account_sentence": sentence(found),
        "account_terms": terms(found),
        "account_facts": facts(found),
    }


def sentence(found: Account) -> str:
    """Say in one line whether it adds up."""
    if found.remainder > 0:
        return f"{_samples(found.remainder)} unaccounted for"
    if found.remainder < 0:
        return f"{_samples(-found.remainder)} more than were produced"
    if found.reported is None:
        return "Every sample that came is accounted for"
    return "Every sample is accounted for"


def terms(found: Account) -> Sequence[Term]:
    """Return produced = stored + evicted + refused + spooled, and what is left."""
    whole = [
        Term("", "Produced", _count(found.produced), HELP["Produced"]),
        Term("=", "Stored", _count(found.stored), HELP["Stored"]),
        Term("+", "Evicted", *_told("Evicted", found.evicted)),
        Term("+", "Refused", *_told("Refused", found.refused)),
        Term("+", "Spooled", _count(found.spooled), HELP["Spooled"]),
    ]
    if found.remainder:
        sign = "+" if found.remainder > 0 else "\u2212"
        text = _count(abs(found.remainder))
        help_text = "What neither the agent nor the hub can explain."
        whole.append(Term(sign, "Unaccounted", text, help_text, "critical"))
    return whole


def facts(found: Account) -> Sequence[Fact]:
    """Return the rest of what is known, the agent's part only if it told."""
    lost_level = "warning" if found.lost else ""
    told = [
        Fact("Lost", _count(found.lost), HELP["Lost"], lost_level),
        Fact("Repeats absorbed", _count(found.duplicates), HELP["Repeats absorbed"]),
        _backfill(found.last_backfill),
    ]
    if found.clock_skew_ms is not None:
        level = "warning" if abs(found.clock_skew_ms) > SKEW_MS else ""
        told.append(Fact("Clock", _skew(found.clock_skew_ms), HELP["Clock"], level))
    if found.ack_p50_ms is not None and found.ack_p99_ms is not None:
        text = f"{_milliseconds(found.ack_p50_ms)} · {_milliseconds(found.ack_p99_ms)}"
        told.append(Fact("Acknowledged in", text, HELP["Acknowledged in"]))
    if found.spool_bytes is not None:
        told.append(
            Fact(
                "Spool", units.join(units.bytes_parts(found.spool_bytes)), HELP["Spool"]
            )
        )
    return told


def _state(found: Account) -> str:
    return "warning" if found.degraded else "ok"


def _told(name: str, count: int) -> tuple[str, str, str]:
    return _count(count), HELP[name], "warning" if count else ""


def _backfill(stretch: tuple[datetime, datetime] | None) -> Fact:
    name = "Last backfill"
    if stretch is None:
        return Fact(name, "none", HELP[name])
    start, end = (int(moment.timestamp() * 1000) for moment in stretch)
    age_s = time.time() - end / 1000
    return Fact(name, units.ago(age_s), HELP[name], "", start, end)


def _samples(number: int) -> str:
    return f"{_count(number)}\u00a0sample{'' if number == 1 else 's'}"


def _count(number: int) -> str:
    return units.join(units.count_parts(number))


def _skew(ms: int) -> str:
    if abs(ms) < 1000:
        return "right to a second"
    text = units.join(units.duration_parts(abs(ms) / 1000))
    return f"{text} {'ahead' if ms > 0 else 'behind'}"


def _milliseconds(ms: float) -> str:
    return units.join(units.duration_parts(ms / 1000))
