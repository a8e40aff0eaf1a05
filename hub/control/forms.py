"""Settings as people write them: one form for a machine, a tag and everybody."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms

from hub.control import fields
from hub.control.edit import Stage
from hub.control.fields import SKIPS, Wanted

# Writes an empty list, where an empty field says nothing.
NOTHING = "none"

_SWITCH = {"": "Not said", "on": "On", "off": "Off"}
_RING = {"": "Not said", "off": "Watched", "on": "Not watched"}
_ARGUMENTS = {
    "": "Not said",
    "off": "With their arguments, secrets masked",
    "on": "Names only",
}
_HELP = {
    "skip_mounts": "One a line, such as /mnt/backup or /var/lib/docker/*.",
    "skip_devices": "One a line, such as loop* or sdb.",
    "skip_interfaces": "One a line, such as veth* or docker0.",
}
COLLECTOR = "collector_"


class SettingsForm(forms.Form):
    """An empty field leaves the word to a wider scope, and at last to the agent."""

    interval_s = forms.FloatField(
        label="Interval",
        required=False,
        help_text="Seconds between two samples, 1 to 300.",
    )
    skip_mounts = forms.CharField(required=False, strip=False)
    skip_devices = forms.CharField(required=False, strip=False)
    skip_interfaces = forms.CharField(required=False, strip=False)
    ring_off = forms.ChoiceField(
        label="Busy processes",
        required=False,
        choices=_RING,
        help_text="Kept for some minutes, so that an alert can name them.",
    )
    ring_hide_arguments = forms.ChoiceField(
        label="Command lines",
        required=False,
        choices=_ARGUMENTS,
        help_text="What is kept of a process, and what the list of processes shows.",
    )
    ring_entries = forms.IntegerField(
        label="Processes kept",
        required=False,
        help_text="At one moment, 1 to 30.",
    )
    labels = forms.CharField(
        label="Labels",
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="One a line: name=text. For people; the agent only shows them.",
    )

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        wanted: Wanted,
        collectors: Iterable[str] = (),
        **more: Any,
    ) -> None:
        self._names = sorted({*collectors, *wanted.get("collectors", {})})
        super().__init__(data, initial=_written(wanted), **more)
        for name, kind in SKIPS.items():
            field = self.fields[name]
            field.label = f"{kind.capitalize()} to skip"
            field.widget = forms.Textarea(attrs={"rows": 3})
            field.help_text = f"{_HELP[name]} “{NOTHING}” skips nothing."
        for name in self._names:
            self.fields[f"{COLLECTOR}{name}"] = forms.ChoiceField(
                label=name, required=False, choices=_SWITCH
            )
        # Filled by `clean`.
        self.wanted: dict[str, Any] = {}

    @property
    def switches(self) -> list[forms.BoundField]:
        """The collectors' fields, for a template that sets them apart."""
        return [self[f"{COLLECTOR}{name}"] for name in self._names]

    @property
    def plain(self) -> list[forms.BoundField]:
        return [one for one in self if not one.name.startswith(COLLECTOR)]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        self.wanted = _read(cleaned, self._names)
        try:
            self.wanted |= _labels(cleaned.get("labels", ""))
        except ValueError as wrong:
            self.add_error("labels", str(wrong))
        for name, sentence in fields.faults(self.wanted).items():
            self.add_error(name if name in self.fields else None, sentence)
        return cleaned


class StageForm(forms.Form):
    """Whether a few machines go first."""

    first = forms.CharField(
        label="First",
        required=False,
        max_length=8,
        help_text="So many machines, such as 3 or 10%. Empty: all at once.",
    )
    stay_min = forms.FloatField(
        label="Stay well for",
        required=False,
        initial=10,
        min_value=0,
        max_value=7 * 24 * 60,
        help_text="Minutes after the first have applied them; then the others follow.",
    )

    def clean_first(self) -> str:
        text = str(self.cleaned_data["first"]).replace(" ", "")
        number = text.removesuffix("%")
        if text and not (number.isascii() and number.isdigit() and int(number)):
            raise forms.ValidationError("Write a number of machines, or a share: 10%.")
        if text.endswith("%") and int(number) > 100:
            raise forms.ValidationError("More than all of them cannot go first.")
        return text

    @property
    def stage(self) -> Stage | None:
        text = str(self.cleaned_data.get("first", ""))
        if not text:
            return None
        minutes = self.cleaned_data.get("stay_min")
        stay_s = round((10 if minutes is None else minutes) * 60)
        number = int(text.removesuffix("%"))
        if text.endswith("%"):
            return Stage(percent=number, stay_s=stay_s)
        return Stage(machines=number, stay_s=stay_s)


def _read(cleaned: Mapping[str, Any], collectors: Iterable[str]) -> dict[str, Any]:
    wanted: dict[str, Any] = {}
    for name in ("interval_s", "ring_entries"):
        if cleaned.get(name) is not None:
            wanted[name] = cleaned[name]
    for name in ("ring_off", "ring_hide_arguments"):
        if cleaned.get(name):
            wanted[name] = cleaned[name] == "on"
    for name in SKIPS:
        lines = _lines(cleaned.get(name, ""))
        if lines:
            wanted[name] = [] if lines == [NOTHING] else lines
    switched = {
        name: value == "on"
        for name in collectors
        if (value := cleaned.get(f"{COLLECTOR}{name}"))
    }
    return wanted | ({"collectors": switched} if switched else {})


def _labels(text: str) -> dict[str, Any]:
    found: dict[str, str] = {}
    for line in _lines(text):
        name, equals, value = line.partition("=")
        if not equals:
            raise ValueError(f"“{line[:60]}” is no label: write name=text.")
        found[name.strip()] = value.strip()
    return {"labels": found} if found else {}


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _written(wanted: Wanted) -> dict[str, Any]:
    """Return the fields as somebody would have filled them."""
    written: dict[str, Any] = {
        name: f"{wanted[name]:g}"
        for name in ("interval_s", "ring_entries")
        if name in wanted
    }
    for name in ("ring_off", "ring_hide_arguments"):
        if name in wanted:
            written[name] = "on" if wanted[name] else "off"
    for name in SKIPS:
        if name in wanted:
            written[name] = "\n".join(wanted[name]) or NOTHING
    for name, on in wanted.get("collectors", {}).items():
        written[f"{COLLECTOR}{name}"] = "on" if on else "off"
    labels = wanted.get("labels", {})
    written["labels"] = "\n".join(f"{name}={labels[name]}" for name in sorted(labels))
    return written
