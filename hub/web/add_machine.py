"""Letting a machine in: choose, paste one command, see it arrive."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import (
    require_http_methods,
    require_POST,
    require_safe,
)

from hub.machines import enrolment
from hub.machines.models import EnrolmentToken, Machine, Tag
from hub.people import address, person
from hub.people.policy import administrator
from hub.web import alarms, invitation, overview
from hub.web.find import find_machine
from hub.web.install import commands
from hub.web.install.commands import Commands, Unknown
from hub.web.invitation import LIFETIMES, MAX_USES, Invitation, Senseless
from hub.web.rows import WORDS, Row

# A list that is longer than this is a list of forgotten ones.
SHOWN = 50

# A machine that tells no processor time by then will not.
PATIENCE_MS = 60_000

NO_CONTENT = 204
UNPROCESSABLE = 422


class Arrival(NamedTuple):
    row: Row
    word: str
    # Sent since it was let in.
    has_values: bool
    # What is a rate takes two samples.
    has_all: bool


@never_cache
@administrator
@require_http_methods(["GET", "HEAD", "POST"])
def add_machine(request: HttpRequest) -> HttpResponse:
    """Show the form, or the command that was made from it."""
    machine = _known(request)
    if request.method != "POST":
        return _page(request, machine, invitation.shown(request.GET))
    try:
        wanted = invitation.chosen(request.POST)
        commands.check()
    except (Senseless, Unknown) as refused:
        shown = invitation.shown(request.POST)
        return _page(request, machine, shown, problem=str(refused))
    secret, token = _make(request, machine, wanted)
    context = {
        **_context(request, machine, wanted),
        "token": token,
        "ways": Commands(request, secret, again=machine is not None).ways(),
        **_arrivals(request, token),
    }
    return render(request, "web/add_machine.html", context)


@never_cache
@administrator
@require_safe
def arrived(request: HttpRequest, pk: int) -> HttpResponse:
    """Return who came in by a command, for a page that waits; 204 = no news."""
    token = _find(pk)
    found = _arrivals(request, token)
    if request.GET.get("known") == found["known"]:
        return HttpResponse(status=NO_CONTENT)
    return render(request, "web/arrivals.html", {"token": token, **found})


@never_cache
@administrator
@require_POST
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """Make a command worthless; who came in by it stays."""
    by, place = person.of(request), address.of(request)
    enrolment.revoke_token(_find(pk).pk, by, address=place)
    token = _find(pk)
    context = {"token": token, "was_asked": True, **_times(token)}
    return render(request, "web/enrolment_token.html", context)


def _make(
    request: HttpRequest, machine: Machine | None, wanted: Invitation
) -> tuple[str, EnrolmentToken]:
    with transaction.atomic():
        return enrolment.make_token(
            person.of(request),
            tags=invitation.tags(wanted),
            machine=machine,
            uses=1 if machine else wanted.uses,
            lifetime=wanted.length,
            address=address.of(request),
        )


def _page(
    request: HttpRequest,
    machine: Machine | None,
    shown: Invitation,
    *,
    problem: str = "",
) -> HttpResponse:
    context = _context(request, machine, shown) | {"problem": problem}
    if problem:
        # What was typed stays, to be put right.
        context["new_tags"] = request.POST.get("new_tags", "").replace("\0", "")
    status = UNPROCESSABLE if problem else 200
    return render(request, "web/add_machine.html", context, status=status)


def _context(
    request: HttpRequest, machine: Machine | None, shown: Invitation
) -> dict[str, Any]:
    known = list(Tag.objects.values_list("name", flat=True))
    return {
        "here": "add_machine",
        "machine": machine,
        "chosen": shown,
        "tags": [(name, name in shown.tags) for name in known],
        "new_tags": " ".join(name for name in shown.tags if name not in known),
        "lifetimes": [(key, label) for key, (label, _) in LIFETIMES.items()],
        "max_uses": MAX_USES,
        "obstacle": commands.obstacle(request),
        "tokens": [_row(token) for token in _tokens()],
    }


def _tokens() -> Iterable[EnrolmentToken]:
    return (
        EnrolmentToken.objects.filter(
            revoked_at=None, uses_left__gt=0, expires_at__gt=timezone.now()
        )
        .select_related("made_by", "machine")
        .prefetch_related("tags")
        .order_by("-created_at")[:SHOWN]
    )


def _row(token: EnrolmentToken) -> dict[str, Any]:
    return {"token": token, **_times(token)}


def _times(token: EnrolmentToken) -> dict[str, Any]:
    now = timezone.now()
    return {
        "made_age_s": (now - token.created_at).total_seconds(),
        "left_s": (token.expires_at - now).total_seconds(),
        "is_open": token.opens(now),
    }


def _arrivals(request: HttpRequest, token: EnrolmentToken) -> dict[str, Any]:
    """Return the machines that came in, and whether more are to be waited for."""
    since = {one.machine_id: one.created_at for one in token.credentials.all()}
    machines = Machine.objects.filter(pk__in=since).order_by("pk")
    rows = overview.read(machines, alarms.of(request))
    # One that is let in again has values from before, which prove nothing.
    came = {
        machine.machine_id: since[machine.pk].timestamp() * 1000 for machine in machines
    }
    found = [_arrival(row, came[row.machine_id]) for row in rows]
    is_open = token.opens(timezone.now())
    # First values stand still, so that they can be read.
    states = [f"{one.row.machine_id}:{one.has_values}:{one.has_all}" for one in found]
    return {
        "arrivals": found,
        "is_open": is_open,
        "is_waiting": is_open or not all(one.has_all for one in found),
        "is_revoked": token.revoked_at is not None,
        "known": " ".join([str(is_open), *states]),
    }


def _arrival(row: Row, came_ms: float) -> Arrival:
    seen_ms = row.seen_ms or 0
    has_values = seen_ms > came_ms and row.summary is not None
    late = seen_ms > came_ms + PATIENCE_MS
    has_rates = row.summary is not None and row.summary["cpu"] is not None
    return Arrival(
        row, WORDS[row.state], has_values, has_values and (has_rates or late)
    )


def _known(request: HttpRequest) -> Machine | None:
    """Return the machine that is to be let in again; None = a new one."""
    wanted = request.POST.get("machine") or request.GET.get("machine")
    return find_machine(request, wanted) if wanted else None


def _find(pk: int) -> EnrolmentToken:
    if pk >= 2**63:
        raise Http404
    return get_object_or_404(
        EnrolmentToken.objects.select_related("made_by", "machine"), pk=pk
    )
