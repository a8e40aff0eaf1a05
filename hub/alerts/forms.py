"""A rule as people write it: amounts with units, durations, matchers as text."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django import forms

from hub.alerts import matchers, quantities, units, validation
from hub.alerts.matchers import BadMatcher
from hub.alerts.models import Rule
from hub.alerts.models.rule import Scope
from hub.alerts.quantities import BadQuantity
from hub.alerts.spec import Aggregation, Kind, Operator
from hub.storage.models import Metric

if TYPE_CHECKING:
    _Base = forms.ModelForm[Rule]
else:
    # Django's own class takes no type arguments.
    _Base = forms.ModelForm

THRESHOLDS = ("warning", "critical", "clear")
# Of a machine's silence.
NEEDLESS = {"metric": "", "per": "", "matchers": [], "window_s": 0.0, "clear": None}


class DurationField(forms.CharField):
    """`5 min` is 300.0."""

    def prepare_value(self, value: Any) -> Any:
        is_number = isinstance(value, int | float)
        return quantities.duration(value) if is_number else value

    def to_python(self, value: Any) -> Any:
        text = str(value or "").strip()
        try:
            return quantities.seconds(text) if text else 0.0
        except BadQuantity as bad:
            raise forms.ValidationError(str(bad)) from bad

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(data) != (initial or 0.0))
        except forms.ValidationError:
            return True


class MatchersField(forms.CharField):
    """`mountpoint=/data, type!=tmpfs` is a list of rows."""

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, list):
            return matchers.written(matchers.from_rows(value))
        return value

    def to_python(self, value: Any) -> Any:
        try:
            return matchers.to_rows(matchers.parse(str(value or "")))
        except BadMatcher as bad:
            raise forms.ValidationError(str(bad)) from bad

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(data) != (initial or []))
        except forms.ValidationError:
            return True


class QuantityField(forms.CharField):
    """An amount in the unit of another field: the form reads it (`_read_amounts`)."""

    # Set by the form, for this rule.
    unit = ""

    def prepare_value(self, value: Any) -> Any:
        is_number = isinstance(value, int | float)
        return quantities.written(value, self.unit) if is_number else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        text = str(data or "").strip()
        try:
            value = quantities.parse(text, self.unit) if text else None
            return bool(value != initial)
        except BadQuantity:
            return True


class RuleForm(_Base):
    metric = forms.ChoiceField(required=False, help_text="What the fleet reports.")
    per = forms.ChoiceField(
        required=False,
        label="Divided by",
        help_text="Another metric, without attributes: load per core.",
    )
    matchers = MatchersField(
        required=False,
        label="Only where",
        help_text="mountpoint=/data, device!=loop* · * and ? match anything, "
        "name= keeps series without that attribute, {} those without any. "
        "Each series that matches has an alert of its own.",
        widget=forms.TextInput(attrs={"size": 60}),
    )
    warning = QuantityField(required=False, help_text="Such as 90 % or 5 GiB.")
    critical = QuantityField(required=False)
    clear = QuantityField(
        required=False,
        label="Clear at",
        help_text="Where it resolves; empty: as soon as it is not beyond a threshold.",
    )
    window_s = DurationField(
        required=False,
        label="Window",
        help_text="10 s to 1 h; not for the newest value.",
    )
    for_s = DurationField(
        required=False, label="For", help_text="How long it must last, such as 5 min."
    )
    clear_for_s = DurationField(required=False, label="Clear for")
    horizon_s = DurationField(
        required=False,
        label="Horizon",
        help_text="Forecasts: how far ahead, such as 24 h.",
    )

    class Meta:
        model = Rule
        exclude = ("built_in", "created_at", "updated_at")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._known = dict(Metric.objects.values_list("name", "unit"))
        for name in ("metric", "per"):
            field = self.fields[name]
            assert isinstance(field, forms.ChoiceField)
            stored = str(self.initial.get(name) or "")
            field.choices = _choices(self._known, stored)
        for name in THRESHOLDS:
            field = self.fields[name]
            assert isinstance(field, QuantityField)
            field.unit = self._unit(self._now)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if data.get("kind") == Kind.DOWN:
            data.update(NEEDLESS)
            data["operator"] = Operator.GTE.value
        if (
            data.get("aggregation") == Aggregation.LAST
            and data.get("kind") != Kind.CHANGE
        ):
            data["window_s"] = 0.0
        if data.get("kind") == Kind.DOWN or data.get("metric"):
            self._read_amounts(data)
        elif "metric" not in self.errors:
            self.add_error("metric", validation.NO_METRIC)
        self._check_scope(data)
        if self.errors:
            return data
        candidate = self.candidate()
        faults = [
            *validation.faults(candidate.spec),
            *validation.note_faults(candidate.note, candidate.runbook_url),
        ]
        for name, sentence in faults:
            self.add_error(name, sentence)
        return data

    def candidate(self) -> Rule:
        """Return the rule that the form describes, not to be saved."""
        data = self.cleaned_data
        fields = {name: data[name] for name in data if name not in _MANY}
        return Rule(pk=self.instance.pk, **fields)

    def _now(self, name: str) -> Any:
        """Return what a field says: as sent, else as stored."""
        if self.is_bound:
            return self.data.get(self.add_prefix(name)) or ""
        stored = getattr(self.instance, name)
        return self.initial.get(name, stored)

    def _unit(self, said: Callable[[str], Any]) -> str:
        kind, metric = str(said("kind")), str(said("metric"))
        return units.of_rule(
            kind, metric, str(said("aggregation")), per=str(said("per"))
        )

    def _read_amounts(self, data: dict[str, Any]) -> None:
        unit = self._unit(lambda name: data.get(name) or "")
        for name in THRESHOLDS:
            text = str(data.get(name) or "").strip()
            try:
                data[name] = quantities.parse(text, unit) if text else None
            except BadQuantity as bad:
                data[name] = None
                self.add_error(name, str(bad))

    def _check_scope(self, data: dict[str, Any]) -> None:
        if data.get("scope") == Scope.TAGS and not data.get("tags"):
            self.add_error("tags", "Choose at least one tag, or all machines.")
        if data.get("scope") == Scope.MACHINES and not data.get("machines"):
            self.add_error("machines", "Choose at least one machine, or all machines.")


def describe_changes(form: RuleForm) -> list[str]:
    """Say of each changed field what it was and what it is."""
    return [f"{_name(form, name)} {_change(form, name)}" for name in form.changed_data]


def _name(form: RuleForm, name: str) -> str:
    return str(form.fields[name].label or name).lower()


def _change(form: RuleForm, name: str) -> str:
    if name in _MANY:
        before = {str(one) for one in form.initial.get(name) or ()}
        after = {str(one) for one in form.cleaned_data[name]}
        return (
            f"({', '.join(sorted(before)) or '–'} → {', '.join(sorted(after)) or '–'})"  # noqa: RUF001 - as in the pages
        )
    field = form.fields[name]
    return _arrow(
        *(
            str(field.prepare_value(value) or "")[:80]
            for value in (form.initial.get(name), form.cleaned_data[name])
        )
    )


def _arrow(before: str, after: str) -> str:
    nothing = "\N{EN DASH}"
    return f"({before or nothing} → {after or nothing})"


_MANY = frozenset({"tags", "machines"})


def _choices(known: dict[str, str], now: str) -> list[tuple[str, str]]:
    """Return what may be chosen: what is reported, and what the rule has already."""
    names = sorted({*known, now} - {""})
    return [("", "—"), *((name, _label(name, known.get(name))) for name in names)]


def _label(name: str, unit: str | None) -> str:
    if unit is None:
        return f"{name} (not reported)"
    shown = {"1": "%", "By": "bytes", "By/s": "bytes/s", "Cel": "°C"}.get(unit, unit)
    return f"{name} ({shown.strip('{}')})" if shown else name
