"""A machine's agent: what is wanted of it, what it says it has, and questions to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe
from sysmonstm_proto import metrics_pb2 as pb

from hub.control import compile, edit, fields
from hub.control.forms import SettingsForm
from hub.control.models import Revision, Rollout, Stand, Standing
from hub.machines.models import Machine
from hub.people import audit, person
from hub.people.policy import operator, viewer
from hub.people.roles import may_operate
from hub.web import credential, diagnosis, head
from hub.web.asking import Unanswered, answer
from hub.web.find import find_machine

REVISIONS = 10
TIMEOUT_S = 10.0

WORDS = {
    Stand.UNHEARD: "This agent has not asked for its settings: it is not connected, "
    "or too old for them.",
    Stand.WAITING: "Wanted, but not applied yet.",
    Stand.APPLIED: "Applied.",
    Stand.REFUSED: "Applied, but for what the agent refuses.",
}
SIGNS = {
    Stand.UNHEARD: "late",
    Stand.WAITING: "late",
    Stand.APPLIED: "ok",
    Stand.REFUSED: "warning",
}


@dataclass(frozen=True, slots=True)
class Effect:
    """One setting as it is wanted, and whose word that is."""

    title: str
    text: str
    origin: str


@dataclass(frozen=True, slots=True)
class Question:
    title: str
    help: str
    command: Callable[[], pb.ControlCommand]
    show: Callable[[Machine, pb.ControlAnswer, float], Mapping[str, Any]]


QUESTIONS = {
    "ping": Question(
        "Ping",
        "How long a question and its answer take.",
        lambda: pb.ControlCommand(ping=pb.Ping()),
        diagnosis.ping,
    ),
    "diagnose": Question(
        "Diagnostics",
        "What the agent costs, which collectors run and what they last failed with.",
        lambda: pb.ControlCommand(diagnose=pb.Diagnose()),
        diagnosis.diagnostics,
    ),
    "connections": Question(
        "Connections",
        "How many there are of each protocol and state. No addresses.",
        lambda: pb.ControlCommand(summarise_connections=pb.SummariseConnections()),
        diagnosis.connections,
    ),
    "collect": Question(
        "Collect now",
        "One more sample, at once. It is shown here and not stored.",
        lambda: pb.ControlCommand(collect_now=pb.CollectNow()),
        diagnosis.collected,
    ),
}


@never_cache
@viewer
@require_safe
def page(request: HttpRequest, machine_id: str) -> HttpResponse:
    """Show what is wanted of an agent, and where it stands."""
    found = find_machine(request, machine_id)
    context = {
        "here": "machine",
        "tab": "agent",
        **head.context(request, found),
        "questions": QUESTIONS.items(),
        **_standing(found),
        **_form(request, found),
        **credential.context(request, found),
    }
    return render(request, "web/agent.html", context)


@never_cache
@viewer
@require_safe
def standing(request: HttpRequest, machine_id: str) -> HttpResponse:
    """Return where the agent stands, for a page that keeps it fresh."""
    found = find_machine(request, machine_id)
    return render(request, "web/agent_standing.html", _standing(found))


@never_cache
@operator
@require_POST
def settle(request: HttpRequest, machine_id: str) -> HttpResponse:
    """Change what is wanted of this machine alone."""
    found = find_machine(request, machine_id)
    own = edit.settings_of(found)
    form = SettingsForm(request.POST, wanted=own.wanted, collectors=_collectors(found))
    if not form.is_valid():
        return _answered(request, found, form=form)
    revision = edit.save(own, form.wanted, by=person.of(request))
    return _answered(request, found, said=_told(request, found, revision))


@never_cache
@operator
@require_POST
def bring_back(request: HttpRequest, machine_id: str, number: int) -> HttpResponse:
    """Undo: want once more what an earlier revision said."""
    found = find_machine(request, machine_id)
    try:
        revision = edit.bring_back(
            edit.settings_of(found), number, by=person.of(request)
        )
    except edit.Unfit as wrong:
        raise Http404(str(wrong)) from wrong
    return _answered(request, found, said=_told(request, found, revision))


@never_cache
@operator
@require_POST
async def ask(request: HttpRequest, machine_id: str, kind: str) -> HttpResponse:
    """Put one question to the agent, and write down who did."""
    question = QUESTIONS.get(kind)
    if question is None:
        raise Http404
    found = await sync_to_async(_noted)(request, machine_id, kind)
    context: dict[str, Any] = {"title": question.title, "machine": found}
    before = time.perf_counter()
    try:
        told = await answer(found, question.command(), TIMEOUT_S)
    except Unanswered as why:
        context["trouble"] = str(why)
    else:
        took_s = time.perf_counter() - before
        context |= await sync_to_async(question.show)(found, told, took_s)
    return await sync_to_async(render)(request, "web/agent_answer.html", context)


def _noted(request: HttpRequest, machine_id: str, kind: str) -> Machine:
    found = find_machine(request, machine_id)
    audit.of(request, "command.sent", found.machine_id, command=kind)
    return found


def _told(request: HttpRequest, machine: Machine, revision: Revision | None) -> str:
    if revision is None:
        return "Nothing has changed."
    audit.of(
        request,
        "settings.changed",
        machine.machine_id,
        revision=revision.number,
        wanted=fields.summary(revision.wanted),
    )
    return f"Saved as revision {revision.number}."


def _answered(
    request: HttpRequest,
    machine: Machine,
    *,
    form: SettingsForm | None = None,
    said: str = "",
) -> HttpResponse:
    context = _form(request, machine, form) | {"said": said}
    response = render(request, "web/agent_form.html", context)
    # Where the agent stands has changed as well.
    response["HX-Trigger-After-Swap"] = "settled"
    return response


def _standing(machine: Machine) -> dict[str, Any]:
    found, merged = compile.look(machine.pk)
    shown = effects(merged.wanted, merged.origins)
    return {
        "machine": machine,
        "standing": found,
        "sign": SIGNS[found.stand],
        "word": WORDS[found.stand],
        "effects": [one for one in shown if one.origin],
        "unsaid": ", ".join(one.title.lower() for one in shown if not one.origin),
        "rollouts": _rollouts(machine),
    }


def effects(wanted: fields.Wanted, origins: Mapping[str, str]) -> list[Effect]:
    """Return every setting, also those that nobody has said anything about."""
    found = []
    for name, title in fields.TITLES.items():
        if name not in fields.MAPPINGS:
            text = fields.text(name, wanted.get(name))
            found.append(Effect(title, text, origins.get(name, "")))
            continue
        values = wanted.get(name, {})
        if not values:
            found.append(Effect(title, fields.text(name, None), ""))
        for key in sorted(values):
            text = fields.text(name, {key: values[key]})
            found.append(Effect(title, text, origins.get(f"{name}.{key}", "")))
    return found


def _rollouts(machine: Machine) -> QuerySet[Rollout]:
    """Return the roll-outs in which this machine goes first."""
    return Rollout.objects.filter(first=machine, state__in=Rollout.OPEN).select_related(
        "settings__tag", "revision"
    )


def _form(
    request: HttpRequest, machine: Machine, form: SettingsForm | None = None
) -> dict[str, Any]:
    """Return what the template needs; without a form, one of what is wanted now."""
    own = edit.find(machine)
    wanted = own.wanted if own else {}
    return {
        "machine": machine,
        "form": form or SettingsForm(wanted=wanted, collectors=_collectors(machine)),
        "may_operate": may_operate(request.user),
        "revisions": own.revisions.all()[:REVISIONS] if own else (),
        "current": own.current.number if own and own.current else 0,
    }


def _collectors(machine: Machine) -> list[str]:
    found = Standing.objects.filter(pk=machine.pk).values_list("collectors", flat=True)
    return list(found.first() or [])
