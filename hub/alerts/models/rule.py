"""What people ask to be told about."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from hub.alerts import matchers, quantities, units
from hub.alerts.spec import Aggregation, Kind, NoData, Operator, Spec
from hub.machines.models import Machine, Tag

KINDS = {
    Kind.THRESHOLD.value: "a value is beyond a threshold",
    Kind.CHANGE.value: "a value changes by more than a threshold within the window",
    Kind.FORECAST.value: "a value will reach a threshold within the horizon",
    Kind.DOWN.value: "a machine is silent",
}
AGGREGATIONS = {
    Aggregation.LAST.value: "the newest value",
    Aggregation.AVG.value: "the average over the window",
    Aggregation.MIN.value: "the lowest in the window",
    Aggregation.MAX.value: "the highest in the window",
    Aggregation.RATE.value: "the change per second over the window",
    Aggregation.CHANGE.value: "the change over the window",
}
OPERATORS = {
    Operator.GT.value: "> above",
    Operator.GTE.value: "≥ at or above",
    Operator.LT.value: "< below",
    Operator.LTE.value: "≤ at or below",
    Operator.EQ.value: "= exactly",
    Operator.NE.value: "≠ anything but",
}
NO_DATA = {
    NoData.IGNORE.value: "leave the alert as it is",
    NoData.FIRE.value: "count it as beyond the threshold",
    NoData.RESOLVE.value: "count it as clear",
}


class Scope(models.TextChoices):
    ALL = "all", "all machines"
    TAGS = "tags", "machines with a tag"
    MACHINES = "machines", "chosen machines"


class Rule(models.Model):
    """One rule. Thresholds in the metric's own unit, ratios 0-1."""

    name = models.CharField(max_length=128, unique=True)
    enabled = models.BooleanField(default=True)
    # The default it came as; empty for people's own.
    built_in = models.SlugField(max_length=64, blank=True, editable=False)

    kind = models.CharField(max_length=16, choices=KINDS, default=Kind.THRESHOLD.value)
    metric = models.CharField(max_length=128, blank=True)
    # A metric without attributes to divide by: load per core.
    per = models.CharField(max_length=128, blank=True)
    matchers = models.JSONField(default=list, blank=True)

    scope = models.CharField(max_length=16, choices=Scope, default=Scope.ALL)
    tags = models.ManyToManyField(Tag, blank=True, related_name="+")
    machines = models.ManyToManyField(Machine, blank=True, related_name="+")

    aggregation = models.CharField(
        max_length=8, choices=AGGREGATIONS, default=Aggregation.LAST.value
    )
    window_s = models.FloatField("window", default=0)
    operator = models.CharField(
        max_length=4, choices=OPERATORS, default=Operator.GT.value
    )
    warning = models.FloatField(null=True, blank=True)
    critical = models.FloatField(null=True, blank=True)
    for_s = models.FloatField("for", default=0)
    clear = models.FloatField("clear threshold", null=True, blank=True)
    clear_for_s = models.FloatField("clear for", default=60)
    no_data = models.CharField(
        "without data", max_length=8, choices=NO_DATA, default=NoData.IGNORE.value
    )
    horizon_s = models.FloatField("horizon", default=0)

    note = models.TextField(blank=True, max_length=4000)
    # An address of a wiki within, too: Django's URL field wants a public name.
    runbook_url = models.CharField("runbook", blank=True, max_length=500)

    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True, editable=False)

    class Meta:
        ordering = ("name",)
        constraints = (
            models.UniqueConstraint(
                fields=("built_in",),
                condition=~models.Q(built_in=""),
                name="rule_built_in",
            ),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def spec(self) -> Spec:
        """Return what the evaluation needs of the rule."""
        kind = Kind(self.kind)
        change = kind is Kind.CHANGE
        return Spec(
            rule=self.pk or 0,
            kind=kind,
            metric=self.metric,
            per=self.per,
            operator=Operator(self.operator),
            warning=self.warning,
            critical=self.critical,
            matchers=matchers.from_rows(self.matchers),
            aggregation=Aggregation.CHANGE if change else Aggregation(self.aggregation),
            window_s=self.window_s,
            for_s=self.for_s,
            clear=self.clear,
            clear_for_s=self.clear_for_s,
            no_data=NoData(self.no_data),
            horizon_s=self.horizon_s,
        )

    @property
    def unit(self) -> str:
        return units.of_rule(self.kind, self.metric, self.aggregation, per=self.per)

    @property
    def in_words(self) -> str:
        """Return the thresholds as they were typed: `≥ 90 %, critical 95 %`."""
        sign = OPERATORS.get(Operator(self.operator), "").partition(" ")[0]
        known = ((self.warning, ""), (self.critical, "critical "))
        parts = [
            f"{word}{quantities.written(value, self.unit)}"
            for value, word in known
            if value is not None
        ]
        return f"{sign} {', '.join(parts)}" if parts else ""

    @property
    def for_in_words(self) -> str:
        return quantities.duration(self.for_s) if self.for_s else "at once"

    def snapshot(self) -> dict[str, object]:
        """Return the rule as an alert keeps it: rules change, history does not."""
        return {
            "id": self.pk,
            "name": self.name,
            "kind": self.kind,
            "metric": self.metric,
            "per": self.per,
            "unit": self.unit,
            "matchers": self.matchers,
            "aggregation": self.spec.aggregation.value,
            "window_s": self.window_s,
            "operator": self.operator,
            "warning": self.warning,
            "critical": self.critical,
            "for_s": self.for_s,
            "clear": self.clear,
            "clear_for_s": self.clear_for_s,
            "horizon_s": self.horizon_s,
            "note": self.note,
            "runbook_url": self.runbook_url,
        }
