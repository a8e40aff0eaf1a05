"""Rules in the admin: written as people write, tried on the past while one types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST

from hub.alerts import answer, changed, defaults
from hub.alerts.forms import RuleForm, describe_changes
from hub.alerts.models import Rule

if TYPE_CHECKING:
    _Base = admin.ModelAdmin[Rule]
else:
    # Django's own class takes no type arguments.
    _Base = admin.ModelAdmin


@admin.register(Rule)
class RuleAdmin(_Base):
    form = RuleForm
    change_form_template = "admin/alerts/rule/form.html"
    change_list_template = "admin/alerts/rule/list.html"
    list_display = ("name", "enabled", "sort", "metric", "thresholds", "lasting")
    list_filter = ("enabled", "kind", "scope")
    search_fields = ("name", "metric")
    autocomplete_fields = ("tags", "machines")
    actions = ("enable", "disable")
    fieldsets = (
        (None, {"fields": ("name", "enabled", "kind")}),
        ("What", {"fields": ("metric", "matchers", "per")}),
        ("Where", {"fields": ("scope", "tags", "machines")}),
        (
            "When",
            {
                "fields": (
                    ("aggregation", "window_s"),
                    "operator",
                    ("warning", "critical"),
                    "for_s",
                    "horizon_s",
                )
            },
        ),
        ("Until", {"fields": ("clear", "clear_for_s", "no_data")}),
        ("What to do", {"fields": ("note", "runbook_url")}),
    )

    @admin.display(description="kind", ordering="kind")
    def sort(self, rule: Rule) -> str:
        # In a word: the sentences of the form would fill the list.
        return rule.kind

    @admin.display(description="thresholds")
    def thresholds(self, rule: Rule) -> str:
        return rule.in_words

    @admin.display(description="for")
    def lasting(self, rule: Rule) -> str:
        return rule.for_in_words

    @admin.action(description="Switch on", permissions=["change"])
    def enable(self, request: HttpRequest, rules: QuerySet[Rule]) -> None:
        self._switch(request, rules, on=True)

    @admin.action(description="Switch off", permissions=["change"])
    def disable(self, request: HttpRequest, rules: QuerySet[Rule]) -> None:
        self._switch(request, rules, on=False)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path(
                "back-test", view(require_POST(self.back_test)), name="alerts_back_test"
            ),
            path("defaults", view(require_POST(self.defaults)), name="alerts_defaults"),
            *super().get_urls(),
        ]

    def back_test(self, request: HttpRequest) -> HttpResponse:
        """Answer what the form, as it stands, would have done and does now."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        instance = Rule.objects.filter(pk=_number(request.POST.get("rule", ""))).first()
        form = RuleForm(request.POST, instance=instance)
        return render(request, "alerts/back_test.html", answer.to(form, request.user))

    def defaults(self, request: HttpRequest) -> HttpResponse:
        """Switch the default set on, with one click."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        for rule in defaults.switch_on():
            self.log_change(request, rule, "Switched on with the default set.")
        changed.rules()
        messages.success(request, "The default rules are on.")
        return redirect(reverse("admin:alerts_rule_changelist"))

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        extra = {"defaults_are_on": defaults.are_on()} | (extra_context or {})
        return super().changelist_view(request, extra)

    def construct_change_message(
        self,
        request: HttpRequest,
        form: Form,
        formsets: Any,
        add: bool = False,
    ) -> Any:
        """Say in the history what each field was and is."""
        message = super().construct_change_message(request, form, formsets, add)
        if not add and isinstance(form, RuleForm):
            for part in message:
                if "changed" in part:
                    part["changed"]["fields"] = describe_changes(form)
        return message

    def save_related(self, request: Any, form: Any, formsets: Any, change: Any) -> None:
        # The last step of a save: whom the rule covers is known only now.
        super().save_related(request, form, formsets, change)
        changed.rules()

    def delete_model(self, request: HttpRequest, obj: Rule) -> None:
        super().delete_model(request, obj)
        changed.rules()

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Rule]) -> None:
        super().delete_queryset(request, queryset)
        changed.rules()

    def _switch(self, request: HttpRequest, rules: QuerySet[Rule], *, on: bool) -> None:
        said = "Switched on." if on else "Switched off."
        for rule in rules.exclude(enabled=on):
            rule.enabled = on
            rule.save(update_fields=["enabled", "updated_at"])
            self.log_change(request, rule, said)
        changed.rules()


def _number(text: str) -> int:
    """Return a primary key; 0, which no rule has, when it is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
