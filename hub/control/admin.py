"""Settings of agents in the admin: for everybody, a tag, or one machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST

from hub.control import edit, fields
from hub.control.forms import SettingsForm, StageForm
from hub.control.models import AgentSettings, Revision, Rollout, Scope, Standing
from hub.people import audit, person
from hub.people.look_only import LookOnly

if TYPE_CHECKING:
    _Settings = admin.ModelAdmin[AgentSettings]
    _Standing = admin.ModelAdmin[Standing]
else:
    # Django's own class takes no type arguments.
    _Settings = _Standing = admin.ModelAdmin

REVISIONS = 50
# Names offered when it is not about one machine.
STANDINGS = 500


@admin.register(AgentSettings)
class AgentSettingsAdmin(_Settings):
    """Adding chooses the scope; what is wanted is said on the page after it."""

    list_display = ("__str__", "scope", "wanted_now", "revision", "under_way")
    list_filter = ("scope",)
    list_select_related = ("tag", "machine", "current")
    search_fields = ("tag__name", "machine__machine_id", "machine__name")
    autocomplete_fields = ("tag", "machine")

    @admin.display(description="wanted")
    def wanted_now(self, one: AgentSettings) -> str:
        return fields.summary(one.wanted)

    @admin.display(description="revision")
    def revision(self, one: AgentSettings) -> int:
        return one.current.number if one.current else 0

    @admin.display(description="roll-out")
    def under_way(self, one: AgentSettings) -> str:
        found = one.rollouts.filter(state__in=Rollout.OPEN).first()
        return f"{found.get_state_display()}: {found.reason}" if found else ""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path(
                "<int:pk>/bring-back/<int:number>",
                view(require_POST(self.bring_back)),
                name="control_bring_back",
            ),
            path(
                "<int:pk>/rollout/<slug:what>",
                view(require_POST(self.decide)),
                name="control_decide",
            ),
            *super().get_urls(),
        ]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        settings = self.get_object(request, object_id)
        if settings is None:
            raise Http404
        if not self.has_view_or_change_permission(request, settings):
            raise PermissionDenied
        may_change = self.has_change_permission(request, settings)
        data = request.POST if request.method == "POST" else None
        if data is not None and not may_change:
            raise PermissionDenied
        form = SettingsForm(data, wanted=_newest(settings), collectors=_known(settings))
        stage = StageForm(data)
        if data is not None and form.is_valid() and stage.is_valid():
            return self._save(request, settings, form, stage)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Settings for {settings}",
            "opts": self.opts,
            "original": settings,
            "form": form,
            "stage": stage if settings.scope != Scope.MACHINE else None,
            "may_change": may_change,
            "revisions": settings.revisions.all()[:REVISIONS],
            "current": settings.current.number if settings.current else 0,
            "rollout": settings.rollouts.first(),
            "first": _first(settings),
            "machines": settings.machines().count(),
        }
        return render(request, "admin/control/settings.html", context)

    def response_add(
        self, request: HttpRequest, obj: AgentSettings, post_url_continue: Any = None
    ) -> HttpResponseRedirect:
        return _to(obj)

    def has_delete_permission(
        self, request: HttpRequest, obj: AgentSettings | None = None
    ) -> bool:
        # What was wanted, and by whom, is kept; "say nothing" brings revision 0 back.
        return False

    def bring_back(
        self, request: HttpRequest, pk: int, number: int
    ) -> HttpResponseRedirect:
        """Undo, with the stages that the form beside it asks for."""
        settings = self._mine(request, pk)
        stage = StageForm(request.POST)
        chosen = stage.stage if stage.is_valid() else None
        try:
            revision = edit.bring_back(
                settings, number, by=person.of(request), stage=chosen
            )
        except edit.Unfit as wrong:
            messages.error(request, str(wrong))
        else:
            _note(request, settings, revision)
        return _to(settings)

    def decide(self, request: HttpRequest, pk: int, what: str) -> HttpResponseRedirect:
        """Go on with a roll-out, or undo it."""
        settings = self._mine(request, pk)
        rollout = settings.rollouts.filter(state__in=Rollout.OPEN).first()
        act = {"go-on": edit.go_on, "undo": edit.undo}.get(what)
        if act is None:
            raise Http404
        if rollout is None or not act(rollout, reason=f"By {request.user}."):
            messages.warning(request, "That roll-out is over already.")
        else:
            number = rollout.revision.number
            action = f"rollout.{what.replace('-', '_')}"
            audit.of(request, action, str(settings), revision=number)
        return _to(settings)

    def _mine(self, request: HttpRequest, pk: int) -> AgentSettings:
        settings = get_object_or_404(AgentSettings, pk=pk)
        if not self.has_change_permission(request, settings):
            raise PermissionDenied
        return settings

    def _save(
        self,
        request: HttpRequest,
        settings: AgentSettings,
        form: SettingsForm,
        stage: StageForm,
    ) -> HttpResponse:
        chosen = stage.stage if settings.scope != Scope.MACHINE else None
        try:
            revision = edit.save(
                settings, form.wanted, by=person.of(request), stage=chosen
            )
        except edit.Unfit as wrong:
            messages.error(request, str(wrong))
        else:
            _note(request, settings, revision)
        return _to(settings)


@admin.register(Standing)
class StandingAdmin(LookOnly, _Standing):
    """What is wanted of each agent beside what it says it has."""

    list_display = (
        "machine",
        "stand_word",
        "version",
        "reported_version",
        "reported_at",
        "refusals",
    )
    list_select_related = ("machine",)
    search_fields = ("machine__machine_id", "machine__name")
    readonly_fields = tuple(field.name for field in Standing._meta.fields)

    @admin.display(description="state")
    def stand_word(self, one: Standing) -> str:
        return one.stand.value

    @admin.display(description="refused")
    def refusals(self, one: Standing) -> str:
        return " ".join(one.refused)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Standing]:
        return super().get_queryset(request).defer("wanted")


def _newest(settings: AgentSettings) -> fields.Wanted:
    """Return what somebody would go on writing: the revision that is being tried."""
    rollout = settings.rollouts.filter(state__in=Rollout.OPEN).first()
    return rollout.revision.wanted if rollout else settings.wanted


def _known(settings: AgentSettings) -> set[str]:
    rows = Standing.objects.filter(machine__in=settings.machines()).values_list(
        "collectors", flat=True
    )
    return {name for names in rows[:STANDINGS] for name in names}


def _first(settings: AgentSettings) -> list[Standing]:
    rollout = settings.rollouts.first()
    if rollout is None:
        return []
    return list(
        Standing.objects.filter(machine__in=rollout.first.all()).select_related(
            "machine"
        )
    )


def _note(
    request: HttpRequest, settings: AgentSettings, revision: Revision | None
) -> None:
    if revision is None:
        messages.info(request, "Nothing has changed.")
        return
    audit.of(
        request,
        "settings.changed",
        str(settings),
        revision=revision.number,
        wanted=fields.summary(revision.wanted),
    )
    staged = hasattr(revision, "rollout")
    then = " A few machines go first." if staged else ""
    messages.success(request, f"Saved as revision {revision.number}.{then}")


def _to(settings: AgentSettings) -> HttpResponseRedirect:
    return redirect(reverse("admin:control_agentsettings_change", args=[settings.pk]))
