"""Which process did it: the snapshot that belongs to an alert, and its words.

What counts is the moment when the trouble began, not the one at which the alert
opened: a rule may wait for minutes, and the process may be gone by then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from hub.alerts.message import shown
from hub.alerts.models import Alert, Culprit
from hub.alerts.spec import Kind
from hub.storage.processes import Entry, Snapshot, from_rows, to_rows

Rank = Culprit.Rank

# By the beginning of the metric's name. Nothing is said of others: no process can
# be told to be behind packets, or a machine that is silent.
RANKS: Mapping[str, Rank] = {
    "system.cpu.": Rank.CPU,
    "system.temperature": Rank.CPU,
    "system.memory.": Rank.MEMORY,
    "system.paging.": Rank.MEMORY,
    "system.disk.": Rank.IO,
    "system.filesystem.": Rank.IO,
}
PRESSURES: Mapping[str, Rank] = {
    "cpu": Rank.CPU,
    "memory": Rank.MEMORY,
    "io": Rank.IO,
}
BY: Mapping[str, Callable[[Entry], float]] = {
    Rank.CPU: lambda entry: entry.cpu,
    Rank.MEMORY: lambda entry: entry.memory_bytes,
    Rank.IO: lambda entry: entry.io,
}

# Before the trouble began, or after the alert opened: beyond this it is no evidence.
MAX_OFF_MS = 60_000


def culprit(alert: Alert) -> list[Entry]:
    """Return the processes behind an alert, the worst first; none = not known.

    One query, or none where the alert was read with `select_related("culprit")`.
    """
    found = record(alert)
    return list(from_rows(found.entries)) if found else []


def record(alert: Alert) -> Culprit | None:
    """Return what is kept of the processes behind an alert."""
    return getattr(alert, "culprit", None)


def lines(alert: Alert, *, most: int = 10, timed: bool = True) -> list[str]:
    """Return a sentence without its full stop for each process, the worst first."""
    found = record(alert)
    if found is None:
        return []
    entries = from_rows(found.entries[:most])
    at = found.taken_at if timed else None
    return [line(one, found.ranked_by, at) for one in entries]


def line(entry: Entry, ranked_by: str, taken_at: datetime | None) -> str:
    """Tell of a process: "stress-ng (pid 4711, user root) used 3.9 cores at …"."""
    user = f", user {entry.user}" if entry.user else ""
    who = f"{entry.name or 'a process'} (pid {entry.pid}{user})"
    at = f" at {taken_at.astimezone(UTC):%H:%M:%S} UTC" if taken_at else ""
    return f"{who} {used(entry, ranked_by)}{at}"


def used(entry: Entry, ranked_by: str) -> str:
    """Say what it used of what the alert is about: "used 3.9 cores"."""
    if ranked_by == Rank.MEMORY:
        share = f" ({entry.memory * 100:.0f} % of all)" if entry.memory >= 0.01 else ""
        return f"held {shown(entry.memory_bytes, 'By', '')} of memory{share}"
    if ranked_by == Rank.IO:
        read, write = shown(entry.read, "By/s", ""), shown(entry.write, "By/s", "")
        return f"read {read or 'nothing'} and wrote {write or 'nothing'}"
    cores = f"{entry.cpu:.0f}" if entry.cpu >= 99.5 else f"{entry.cpu:.2g}"
    return f"used {cores} {'core' if cores == '1' else 'cores'}"


def rank_of(alert: Alert) -> Rank | None:
    """Return what the processes of an alert are ranked by; None: by nothing."""
    if alert.snapshot.get("kind") == Kind.DOWN:
        return None
    if alert.metric.startswith("system.pressure."):
        return PRESSURES.get(str(alert.attributes.get("resource")))
    ranks = (r for name, r in RANKS.items() if alert.metric.startswith(name))
    return next(ranks, None)


def onset_ms(alert: Alert) -> int:
    """Return when the trouble began, by the hub's clock: what the rule waited for."""
    for_s = alert.snapshot.get("for_s") or 0.0
    if alert.snapshot.get("kind") == Kind.FORECAST:
        # It waits for no process: what fills a disk does so now.
        for_s = 0.0
    return round((alert.opened_at.timestamp() - float(for_s)) * 1000)


def choose(alert: Alert, snapshots: Sequence[Snapshot]) -> Snapshot | None:
    """Return what says most about the beginning, if it says anything."""
    began_ms, opened_ms = onset_ms(alert), alert.opened_at.timestamp() * 1000
    evidence = [
        one
        for one in snapshots
        if one.taken_ms >= began_ms - MAX_OFF_MS
        and one.taken_ms - one.span_ms <= opened_ms + MAX_OFF_MS
    ]
    return min(evidence, key=lambda one: one.distance_ms(began_ms), default=None)


def ranked(entries: Sequence[Entry], rank: Rank) -> list[Entry]:
    """Return those that used any of it, the worst first."""
    by = BY[rank]
    used_some = (entry for entry in entries if by(entry) > 0)
    return sorted(used_some, key=by, reverse=True)


def attach(alert: Alert, snapshots: Sequence[Snapshot]) -> bool:
    """Keep the best of the snapshots with the alert; False: it has none better."""
    rank, found = rank_of(alert), choose(alert, snapshots)
    if rank is None or found is None:
        return False
    entries = ranked(found.entries, rank)
    if not entries:
        return False
    fields = {
        "taken_at": datetime.fromtimestamp(found.taken_ms / 1000, UTC),
        "span_ms": found.span_ms,
        "ranked_by": rank,
        "entries": to_rows(entries),
        "distance_ms": found.distance_ms(onset_ms(alert)),
    }
    _, made = Culprit.objects.get_or_create(alert=alert, defaults=fields)
    if made:
        return True
    # Whoever else does this at the same time: the better one stays.
    worse = Culprit.objects.filter(alert=alert, distance_ms__gt=fields["distance_ms"])
    return worse.update(**fields) > 0
