"""Whether anybody is to hear of an alert now: silences and maintenance windows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser, User
from django.db.models import Q
from django.utils import timezone

from hub.alerts import matchers
from hub.alerts.models import Alert, Maintenance, Silence
from hub.alerts.routing import Facts, Mute, in_force, muted
from hub.alerts.spec import Severity


class Muting:
    """What is silenced or in maintenance at one moment; two queries for any number."""

    def __init__(self, at: datetime | None = None) -> None:
        self.at = at or timezone.now()
        self._mutes = [*_silences(self.at), *_windows(self.at)]

    def why(self, alert: Alert) -> str | None:
        """Say why nobody is told of the alert, or return None."""
        return muted(self._mutes, facts(alert)) if self._mutes else None


def facts(alert: Alert) -> Facts:
    """Return what routes look at.

    Asks for the machine and its tags; prefetch `machine__tags` for many alerts.
    """
    machine = alert.machine
    return Facts(
        machine=machine.machine_id if machine else alert.machine_title,
        machine_pk=machine.pk if machine else None,
        tags=frozenset(tag.pk for tag in machine.tags.all())
        if machine
        else frozenset(),
        rule=alert.rule_id,
        severity=Severity[alert.severity.upper()],
        attributes=tuple(sorted(alert.attributes.items())),
    )


def silence_alert(
    alert: Alert,
    *,
    until: datetime,
    reason: str,
    by: AbstractBaseUser,
    now: datetime | None = None,
) -> Silence:
    """Silence the alert's series of its machine for its rule until a moment."""
    return Silence.objects.create(
        machine=_literal(facts(alert).machine),
        rule=alert.rule,
        matchers=_exactly(alert),
        starts_at=now or timezone.now(),
        until=until,
        reason=reason,
        created_by=by if isinstance(by, User) else None,
    )


def silences_of(alert: Alert) -> list[Silence]:
    """Return the silences that `silence_alert` made for just this series."""
    found = Silence.objects.filter(
        machine=_literal(facts(alert).machine), rule=alert.rule
    )
    return [one for one in found if one.matchers == _exactly(alert)]


def _exactly(alert: Alert) -> list[matchers.Row]:
    found = tuple(
        matchers.Matcher(name, _literal(value))
        for name, value in sorted(alert.attributes.items())
    )
    return matchers.to_rows(found[: matchers.MAX_MATCHERS])


def _literal(text: str) -> str:
    """Return a glob that fits this text alone."""
    return "".join(f"[{one}]" if one in "*?[" else one for one in text)


def _silences(at: datetime) -> Iterable[Mute]:
    for silence in Silence.objects.filter(
        Q(alert=None) | Q(alert__state=Alert.Status.FIRING),
        starts_at__lte=at,
        until__gt=at,
    ).select_related("created_by"):
        until = f"{silence.until:%Y-%m-%d %H:%M} UTC"
        if silence.alert_id is not None:
            until = "it is resolved"
        by = silence.created_by
        if by is not None:
            until += f" by {by.get_username()}"
        yield Mute(
            why=f"Silenced until {until}: {silence.reason}",
            machine=silence.machine,
            tags=frozenset({silence.tag_id} if silence.tag_id else ()),
            rule=silence.rule_id,
            matchers=matchers.from_rows(silence.matchers),
        )


def _windows(at: datetime) -> Iterable[Mute]:
    windows = Maintenance.objects.filter(enabled=True).prefetch_related(
        "tags", "machines"
    )
    for window in windows:
        if not in_force(window.span, at):
            continue
        tags = frozenset(tag.pk for tag in window.tags.all())
        machines = frozenset(one.pk for one in window.machines.all())
        # Nothing chosen is nothing, unless all were meant.
        if window.all_machines or tags or machines:
            everything = window.all_machines
            yield Mute(
                why=f"Maintenance: {window.name}",
                tags=frozenset() if everything else tags,
                machines=frozenset() if everything else machines,
            )
