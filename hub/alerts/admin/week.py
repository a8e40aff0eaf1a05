"""Days of the week as boxes to tick."""

from __future__ import annotations

from typing import Any

from django import forms

from hub.alerts.models.week import DAYS


class DaysField(forms.TypedMultipleChoiceField):
    """A list of numbers, Monday is 0; nothing ticked is every day."""

    widget = forms.CheckboxSelectMultiple

    def __init__(self, **more: Any) -> None:
        super().__init__(
            choices=list(DAYS.items()),
            coerce=int,
            empty_value=[],
            required=False,
            help_text="None: every day.",
            **more,
        )
