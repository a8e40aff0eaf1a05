"""Contacts in the admin: what is typed here is sealed, and never shown again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.validators import validate_email
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_POST

from hub.alerts import text, trial
from hub.alerts.admin.week import DaysField
from hub.alerts.message import PLACEHOLDERS
from hub.alerts.models import Contact
from hub.alerts.secrets import Sealed

if TYPE_CHECKING:
    _Base = admin.ModelAdmin[Contact]
    _Form = forms.ModelForm[Contact]
else:
    # Django's own classes take no type arguments.
    _Base, _Form = admin.ModelAdmin, forms.ModelForm

MIN_SECRET = 16


class ContactForm(_Form):
    # Whoever fills it in; set by the admin.
    superuser = False

    address = forms.CharField(
        required=False,
        max_length=2000,
        widget=forms.TextInput(attrs={"size": 80, "autocomplete": "off"}),
        help_text="An e-mail address, an Apprise URL such as "
        "slack://… (appriseit.com/services), or a webhook's https://… "
        "Kept sealed and never shown again; empty keeps the one there is.",
    )
    secret = forms.CharField(
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"size": 80, "autocomplete": "off"}),
        help_text="With which a webhook's messages are signed: 16 characters or "
        "more that the receiver knows too. Empty keeps the one there is.",
    )
    quiet_days = DaysField()

    class Meta:
        model = Contact
        fields = (
            "name",
            "enabled",
            "kind",
            "may_reach_private",
            "subject",
            "quiet_from",
            "quiet_until",
            "quiet_days",
            "zone",
        )

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        if not self.superuser and "may_reach_private" in self.fields:
            # What is posted for it is not even looked at.
            self.fields["may_reach_private"].disabled = True

    def clean_subject(self) -> str:
        subject: str = self.cleaned_data["subject"]
        if unknown := text.unknown(subject, set(PLACEHOLDERS)):
            known = " ".join(f"{{{name}}}" for name in sorted(PLACEHOLDERS))
            raise ValidationError(f"There is no {{{unknown[0]}}}; there are {known}.")
        return subject

    def clean_secret(self) -> str:
        secret: str = self.cleaned_data["secret"]
        if secret and len(secret) < MIN_SECRET:
            raise ValidationError(f"It needs at least {MIN_SECRET} characters.")
        return secret

    def clean(self) -> dict[str, Any]:
        said = super().clean() or self.cleaned_data
        if "kind" not in said or "address" not in said:
            return said
        self._judge_rights(said)
        changed = {"address", "kind", "may_reach_private"} & set(self.changed_data)
        if changed or not self.instance.sealed_address:
            self._judge_address(said)
        is_webhook = said["kind"] == Contact.Kind.WEBHOOK
        if is_webhook and not (said.get("secret") or self.instance.sealed_secret):
            self.add_error("secret", "A webhook's messages are signed: type a secret.")
        return said

    def _judge_rights(self, said: dict[str, Any]) -> None:
        moved = said["address"] or "kind" in self.changed_data
        if moved and not self.superuser:
            # What an administrator allowed was allowed for the old address.
            said["may_reach_private"] = False

    def _judge_address(self, said: dict[str, Any]) -> None:
        address = said["address"]
        try:
            address = address or self.instance.address
        except Sealed as error:
            self.add_error("address", str(error))
            return
        if not address:
            self.add_error("address", "Say where it is reached.")
        elif said["kind"] == Contact.Kind.EMAIL:
            try:
                validate_email(address)
            except ValidationError as error:
                self.add_error("address", error)
        else:
            private = bool(said.get("may_reach_private"))
            outcome = trial.check(said["kind"], address, private=private)
            if not outcome.ok:
                self.add_error("address", outcome.said)

    def save(self, commit: bool = True) -> Contact:
        if address := self.cleaned_data["address"]:
            self.instance.reach(address)
        if secret := self.cleaned_data["secret"]:
            self.instance.sign_with(secret)
        self.instance.may_reach_private = self.cleaned_data["may_reach_private"]
        return super().save(commit)


@admin.register(Contact)
class ContactAdmin(_Base):
    form = ContactForm
    list_display = ("name", "kind", "masked", "enabled", "tested_at", "test_said")
    list_filter = ("kind", "enabled")
    search_fields = ("name",)
    readonly_fields = ("masked",)
    fieldsets = (
        (None, {"fields": ("name", "enabled", "kind", "masked", "address", "secret")}),
        (None, {"fields": ("subject",)}),
        (
            "Quiet hours: warnings wait, critical alerts do not",
            {"fields": (("quiet_from", "quiet_until"), "quiet_days", "zone")},
        ),
        ("For administrators", {"fields": ("may_reach_private",)}),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Contact | None = None) -> Any:
        found = super().get_fieldsets(request, obj)
        if obj is not None:
            return found
        # A new one has no address yet that could be shown.
        (title, first), *others = found
        fields = [name for name in first["fields"] if name != "masked"]
        return [(title, {**first, "fields": fields}), *others]

    def get_form(
        self,
        request: HttpRequest,
        obj: Contact | None = None,
        change: bool = False,
        **more: Any,
    ) -> Any:
        form = super().get_form(request, obj, change, **more)
        return type(form.__name__, (form,), {"superuser": request.user.is_superuser})

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.try_out)
        return [
            path("<int:pk>/try/", view, name="alerts_contact_try"),
            *super().get_urls(),
        ]

    @method_decorator(require_POST)
    def try_out(self, request: HttpRequest, pk: int) -> HttpResponse:
        contact = self.get_object(request, str(pk))
        if contact is None or not self.has_change_permission(request, contact):
            raise PermissionDenied
        outcome = trial.try_out(contact)
        level = messages.SUCCESS if outcome.ok else messages.ERROR
        said = f"Sent. {outcome.said}" if outcome.ok else f"Not sent. {outcome.said}"
        self.message_user(request, said, level)
        self.log_change(request, contact, f"Test message: {said}")
        back = reverse("admin:alerts_contact_change", args=[pk])
        return HttpResponseRedirect(back)
