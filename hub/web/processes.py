"""A machine's processes, as they are while somebody looks.

Whoever opens the page is written down, once; the list asks for itself with what the
page was given, so nobody looks without having opened it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from sysmonstm_proto import metrics_pb2 as pb

from hub.machines.models import Machine
from hub.people import audit
from hub.people.policy import operator
from hub.web import head
from hub.web.asking import Unanswered, answer
from hub.web.find import find_machine
from hub.web.templatetags import units

SALT = "processes"
# A page that stays open longer is opened again.
OPEN_S = 12 * 3600
TIMEOUT_S = 5.0
# More than anybody reads; the filter looks through all of them.
SHOWN = 200
COMMAND = pb.ControlCommand(list_processes=pb.ListProcesses())

Key = Callable[[pb.ProcessEntry], Any]


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    title: str
    key: Key
    # Numbers begin with the largest.
    largest_first: bool = True
    help: str = ""


COLUMNS = (
    Column("pid", "Process", lambda one: one.pid, largest_first=False),
    Column("name", "Name", lambda one: one.name.lower(), largest_first=False),
    Column("user", "User", lambda one: one.user, largest_first=False),
    Column("cpu", "CPU", lambda one: one.cpu, help="100 % is one core, all the time."),
    Column("memory", "Memory", lambda one: one.memory_bytes),
    Column("read", "Read", lambda one: one.read_bytes_per_s),
    Column("write", "Written", lambda one: one.write_bytes_per_s),
    Column("started", "Started", lambda one: one.started_unix_ms),
)
BY_NAME = {column.name: column for column in COLUMNS}
DEFAULT = "cpu"


@never_cache
@operator
@require_safe
def page(request: HttpRequest, machine_id: str) -> HttpResponse:
    """Open the list; that it was opened is written down."""
    found = find_machine(request, machine_id)
    audit.of(request, "command.sent", found.machine_id, command="list_processes")
    opening = signing.dumps([found.pk, request.user.pk], salt=SALT)
    context = {
        "here": "machine",
        "tab": "processes",
        "machine": found,
        "may_operate": True,
        **head.context(request, found),
        "opening": opening,
        "sort": _sort(request),
        "query": request.GET.get("q", "")[:100],
    }
    return render(request, "web/processes.html", context)


@never_cache
@operator
@require_safe
async def now(request: HttpRequest, machine_id: str) -> HttpResponse:
    """Return the list as it is now."""
    found = await sync_to_async(_opened)(request, machine_id)
    context: dict[str, Any] = {"machine": found}
    try:
        told = (await answer(found, COMMAND, TIMEOUT_S)).processes
    except Unanswered as why:
        context["trouble"] = str(why)
    else:
        context |= listed(told, _sort(request), request.GET.get("q", "")[:100])
    return await sync_to_async(render)(request, "web/processes_now.html", context)


def listed(told: pb.ProcessList, order: str, query: str) -> dict[str, Any]:
    """Return what the template needs: sorted, filtered, and not too many."""
    entries = arrange(_fitting(told.entries, query), order)
    now_ms = time.time_ns() // 1_000_000
    return {
        "columns": [
            (column, _direction(column, order), _other(column, order))
            for column in COLUMNS
        ],
        "rows": [_row(one, now_ms) for one in entries[:SHOWN]],
        "total": max(told.total, len(told.entries)),
        "fitting": len(entries),
        "is_filtered": bool(query.strip()),
        "span_s": told.span_ms / 1000,
        "taken_ms": told.taken_unix_ms,
    }


def arrange(entries: Iterable[pb.ProcessEntry], order: str) -> list[pb.ProcessEntry]:
    """Sort by a column; "-" turns it round. Equal ones keep one order."""
    column = BY_NAME.get(order.removeprefix("-"), BY_NAME[DEFAULT])
    by_pid = sorted(entries, key=lambda one: one.pid)
    turned = column.largest_first is not order.startswith("-")
    return sorted(by_pid, key=column.key, reverse=turned)


def _fitting(entries: Iterable[pb.ProcessEntry], query: str) -> list[pb.ProcessEntry]:
    words = query.lower().split()
    return [one for one in entries if all(word in _text(one) for word in words)]


def _text(one: pb.ProcessEntry) -> str:
    return f"{one.pid} {one.name} {one.user} {one.command}".lower()


def _sort(request: HttpRequest) -> str:
    asked = request.GET.get("sort", DEFAULT)
    return asked if asked.removeprefix("-") in BY_NAME else DEFAULT


def _direction(column: Column, order: str) -> str:
    if order.removeprefix("-") != column.name:
        return ""
    is_down = column.largest_first is not order.startswith("-")
    return "descending" if is_down else "ascending"


def _other(column: Column, order: str) -> str:
    """Return the order that a click on this column asks for."""
    return f"-{column.name}" if order == column.name else column.name


def _row(one: pb.ProcessEntry, now_ms: int) -> dict[str, Any]:
    # Absent: the agent may not look at other users' files.
    read = one.read_bytes_per_s if one.HasField("read_bytes_per_s") else None
    written = one.write_bytes_per_s if one.HasField("write_bytes_per_s") else None
    started_ms = one.started_unix_ms
    return {
        "pid": one.pid,
        "name": one.name,
        "user": one.user,
        "command": one.command,
        "cpu": units.percent(one.cpu),
        "memory": units.size(one.memory_bytes),
        "read": units.rate(read),
        "written": units.rate(written),
        "started": units.ago((now_ms - started_ms) / 1000) if started_ms else "",
    }


def _opened(request: HttpRequest, machine_id: str) -> Machine:
    found = find_machine(request, machine_id)
    try:
        said = signing.loads(request.GET.get("opening", ""), salt=SALT, max_age=OPEN_S)
    except signing.BadSignature as wrong:
        raise PermissionDenied from wrong
    if said != [found.pk, request.user.pk]:
        raise PermissionDenied
    return found
