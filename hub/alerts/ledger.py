"""What the evaluation found becomes rows: alerts, states, and how far it has come.

One transaction for all of it: after a crash at any moment, the position says which
samples have been judged, and the rows say exactly what followed from those.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.db.models import Q

from hub.alerts import chapters, outbox, shares
from hub.alerts.models import Alert, Rule, RuleState, Share
from hub.alerts.plan import Key
from hub.alerts.rulebook import Entry
from hub.alerts.spec import Severity
from hub.alerts.state import Happening, Phase, State
from hub.alerts.watched import Change, Peak, Position
from hub.machines.models import Machine

# [Unix ms, value or None] before an opening, oldest first.
Samples = list[list[float | None]]

# What is worth telling people; that a critical alert is a mere warning now is not.
TOLD = frozenset({Happening.OPENED, Happening.ESCALATED, Happening.RESOLVED})


@dataclass(frozen=True, slots=True)
class Noted:
    """A change, with what its rows need besides."""

    change: Change
    entry: Entry | None
    peak: Peak | None
    samples: Samples = field(default_factory=list)


@dataclass(slots=True)
class Written:
    # Of machine and key: the alert's primary key, None = it is over.
    alerts: dict[tuple[int, Key], int | None] = field(default_factory=dict)
    happened: list[tuple[Alert, Happening]] = field(default_factory=list)
    # Shares that belong to somebody else now; nothing was written for them.
    lost: set[int] = field(default_factory=set)


def write(
    owner: str,
    positions: Mapping[int, Mapping[int, Position]],
    noted: Sequence[Noted],
) -> Written:
    """Write changes, in their order, and the positions of these shares' machines."""
    written = Written()
    with transaction.atomic():
        held = shares.hold(owner, positions.keys())
        written.lost = set(positions) - set(held)
        for number, share in held.items():
            share.positions = {str(pk): list(p) for pk, p in positions[number].items()}
        Share.objects.bulk_update(held.values(), ["positions"])
        ours = [one for one in noted if shares.share_of(one.change.machine) in held]
        there = _existing(ours)
        for one in ours:
            if (one.change.machine, one.change.key[0]) in there or not one.entry:
                _write(one, written)
        _write_states(ours, there, written)
        _tell(written.happened)
    return written


def read_states(machines: Iterable[int]) -> list[tuple[int, Key, State, Alert | None]]:
    """Return (machine, key, state, open alert) of what is not at rest."""
    rows = RuleState.objects.filter(machine__in=list(machines)).select_related("alert")
    return [
        (
            row.machine_id,
            (row.rule_id, row.series_key),
            _from_row(row.phase, row.details),
            row.alert,
        )
        for row in rows
    ]


def write_peaks(peaks: Mapping[int, Peak]) -> None:
    """Note the worst and the newest values of open alerts."""
    rows = Alert.objects.filter(pk__in=peaks, state=Alert.Status.FIRING)
    changed = []
    for alert in rows:
        _put_peak(alert, peaks[alert.pk])
        changed.append(alert)
    Alert.objects.bulk_update(
        changed, ["peak_value", "peak_at", "last_value"], batch_size=200
    )


def end_orphans(now: datetime) -> list[tuple[Alert, Happening]]:
    """Resolve open alerts whose rule or machine was deleted."""
    ended = []
    with transaction.atomic():
        orphans = (
            Alert.objects.select_for_update(of=("self",))
            .select_related("machine")
            .filter(Q(rule=None) | Q(machine=None), state=Alert.Status.FIRING)
        )
        for alert in orphans:
            what = "machine" if alert.machine_id is None else "rule"
            _resolve(alert, now, f"The {what} was deleted.")
            ended.append((alert, Happening.RESOLVED))
        _tell(ended)
    return ended


def moment(ms: float) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _tell(happened: Sequence[tuple[Alert, Happening]]) -> None:
    chapters.happened(happened)
    outbox.enqueue_many(
        (alert, happening.value) for alert, happening in happened if happening in TOLD
    )


# -- alerts


def _write(one: Noted, written: Written) -> None:
    change = one.change
    if change.happening is None:
        return
    place = change.machine, change.key
    open_ = _open_alert(change)
    if change.happening is Happening.OPENED:
        if open_ is None and one.entry is None:
            return
        if open_ is None:
            open_ = _open(one)
            written.happened.append((open_, change.happening))
        written.alerts[place] = open_.pk
        return
    written.alerts[place] = None
    if open_ is None:
        return
    if one.peak is not None:
        _put_peak(open_, one.peak)
    if change.happening is Happening.RESOLVED:
        _resolve(open_, moment(change.at_ms), change.why, value=change.value)
    else:
        written.alerts[place] = open_.pk
        _set_severity(open_, change)
    written.happened.append((open_, change.happening))


def _open_alert(change: Change) -> Alert | None:
    rule, key = change.key
    return (
        Alert.objects.select_for_update(of=("self",))
        .select_related("machine")
        .filter(
            rule=rule,
            machine=change.machine,
            series_key=key,
            state=Alert.Status.FIRING,
        )
        .first()
    )


def _open(one: Noted) -> Alert:
    change, entry = one.change, one.entry
    assert entry is not None
    assert change.subject is not None
    machine = Machine.objects.get(pk=change.machine)
    series, at = change.subject.series, moment(change.at_ms)
    severity = change.state.severity.word
    return Alert.objects.create(
        rule_id=entry.rule.pk,
        snapshot=entry.snapshot,
        machine=machine,
        machine_title=machine.title,
        metric=series.metric if series else "",
        attributes=dict(series.attributes) if series else {},
        series_key=change.key[1],
        severity=severity,
        peak_severity=severity,
        opened_at=at,
        changed_at=at,
        value=change.value,
        peak_value=change.value,
        peak_at=at,
        last_value=change.value,
        samples=one.samples,
    )


def _set_severity(alert: Alert, change: Change) -> None:
    severity = change.state.severity
    alert.severity = severity.word
    if severity is Severity.CRITICAL:
        alert.peak_severity = severity.word
    alert.changed_at = moment(change.at_ms)
    alert.save()


def _resolve(
    alert: Alert, at: datetime, why: str, *, value: float | None = None
) -> None:
    alert.state = Alert.Status.RESOLVED
    alert.resolved_at = alert.changed_at = max(at, alert.opened_at)
    alert.resolved_why = why
    if value is not None:
        alert.last_value = value
    alert.save()


def _put_peak(alert: Alert, peak: Peak) -> None:
    alert.peak_value, alert.last_value = peak.value, peak.last
    alert.peak_at = moment(peak.at_ms)


# -- states


def _existing(noted: Sequence[Noted]) -> set[tuple[int, int]]:
    """Return (machine, rule) of those that have not been deleted meanwhile."""
    machines = {one.change.machine for one in noted}
    rules = {one.change.key[0] for one in noted}
    if not noted:
        return set()
    there = Machine.objects.filter(pk__in=machines).values_list("pk", flat=True)
    still = Rule.objects.filter(pk__in=rules).values_list("pk", flat=True)
    return {(machine, rule) for machine in set(there) for rule in set(still)}


def _write_states(
    noted: Sequence[Noted], there: set[tuple[int, int]], written: Written
) -> None:
    last = {(one.change.machine, one.change.key): one.change.state for one in noted}
    rest = [place for place, state in last.items() if state == _forgotten(state)]
    for machine, (rule, key) in rest:
        RuleState.objects.filter(machine=machine, rule=rule, series_key=key).delete()
    rows = []
    for (machine, (rule, key)), state in last.items():
        if (machine, rule) not in there or state == _forgotten(state):
            continue
        row = RuleState(machine_id=machine, rule_id=rule, series_key=key)
        row.phase, row.details = state.phase.value, _details(state)
        row.alert_id = written.alerts.get((machine, (rule, key)))
        rows.append(row)
    known = {
        (s.machine_id, (s.rule_id, s.series_key)): s.alert_id
        for s in RuleState.objects.filter(machine__in={row.machine_id for row in rows})
    }
    for row in rows:
        place = row.machine_id, (row.rule_id, row.series_key)
        if place not in written.alerts:
            row.alert_id = known.get(place)
    RuleState.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["rule", "machine", "series_key"],
        update_fields=["phase", "details", "alert"],
    )


def _forgotten(state: State) -> State:
    """Return what a state would be that says nothing but when it was looked at."""
    return State(last_ms=state.last_ms)


def _details(state: State) -> dict[str, Any]:
    said = state._asdict()
    del said["phase"]
    return {name: value for name, value in said.items() if value is not None}


def _from_row(phase: str, details: Mapping[str, Any]) -> State:
    names = set(State._fields) - {"phase", "severity"}
    known = {name: value for name, value in details.items() if name in names}
    return State(
        phase=Phase(phase), severity=Severity(details.get("severity", 0)), **known
    )
