"""What a form's rule would have done, and does now: the context of a small page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.utils import timezone

from hub.alerts import chart, quantities
from hub.alerts.backtest import BackTest, back_test
from hub.alerts.forms import RuleForm
from hub.alerts.models.rule import Scope
from hub.alerts.preview import Preview, preview
from hub.alerts.spec import DOWNWARD, Kind, Spec
from hub.machines.models import Machine
from hub.machines.registry import visible_to

# A back-test of more would not come to an end in time anyway.
MAX_MACHINES = 1_000


def to(form: RuleForm, user: AbstractBaseUser | AnonymousUser) -> dict[str, Any]:
    """Try the rule that the form describes on the machines that its user may see."""
    faults = _faults(form)
    if faults:
        return {"faults": faults}
    rule = form.candidate()
    spec, now = rule.spec, timezone.now()
    machines = covered(form.cleaned_data, user)
    test = back_test(spec, machines, now)
    unit = {Kind.FORECAST: "s", Kind.DOWN: ""}.get(spec.kind, rule.unit)
    seen = preview(spec, machines, round(now.timestamp() * 1000))
    return {
        "test": test,
        "sentence": sentence(test),
        "charts": chart.charts(spec, "" if spec.kind is Kind.DOWN else rule.unit, test),
        "is_silence": spec.kind is Kind.DOWN,
        "extreme": "lowest" if spec.operator in DOWNWARD else "highest",
        "width": chart.WIDTH,
        "height": chart.HEIGHT,
        "now": seen,
        "now_sentence": now_sentence(spec, seen),
        "worst": [
            (one, quantities.shown(one.value, unit))
            for one in seen.worst
            if one.value or spec.kind is not Kind.DOWN
        ],
        "unit": rule.unit,
    }


def covered(
    data: dict[str, Any], user: AbstractBaseUser | AnonymousUser
) -> list[Machine]:
    """Return the machines that a form's scope is about."""
    machines = visible_to(user)
    if data.get("scope") == Scope.TAGS:
        machines = machines.filter(tags__in=data["tags"]).distinct()
    elif data.get("scope") == Scope.MACHINES:
        machines = machines.filter(pk__in=data["machines"])
    return list(machines[:MAX_MACHINES])


def sentence(test: BackTest) -> str:
    """Say what the past says."""
    if not test.series:
        return "No machine has reported a series like this in the last 7 days."
    whole = test.looked_at == test.covered
    where = "" if whole else f", on the {test.looked_at} of {test.covered} tried,"
    if not test.times:
        return f"In the last 7 days{where} this rule would not have fired."
    return (
        f"In the last 7 days{where} this rule would have fired "
        f"{_times(test.times)} on {_machines(test.machines)}."
    )


def now_sentence(spec: Spec, seen: Preview) -> str:
    """Say what the newest values say."""
    if not seen.series:
        return "Now: nothing is foretold." if spec.kind is Kind.FORECAST else ""
    if spec.kind is Kind.DOWN:
        return (
            f"Now: {seen.beyond} of {_machines(seen.machines)} silent for as long; "
            "below, the intervals for which some have been."
            if any(one.value for one in seen.worst)
            else "Now: every machine is heard."
        )
    return (
        f"Now: {seen.beyond} of {seen.series} series on {_machines(seen.machines)} "
        "beyond a threshold."
    )


def _faults(form: RuleForm) -> Sequence[str]:
    if form.is_valid():
        return []
    # A rule is tried before it has a name.
    return [
        f"{form.fields[name].label or name.replace('_', ' ').capitalize()}: {error}"
        if name in form.fields
        else str(error)
        for name, errors in form.errors.items()
        if name != "name"
        for error in errors
    ]


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _machines(count: int) -> str:
    return "1 machine" if count == 1 else f"{count} machines"
