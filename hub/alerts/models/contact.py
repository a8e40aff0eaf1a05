"""Who is told, and how they are reached."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from hub.alerts import secrets
from hub.alerts.models import week
from hub.alerts.quiet import Hours, days_of


class Contact(models.Model):
    """A person, a room or a program; where it is reached is sealed."""

    class Kind(models.TextChoices):
        EMAIL = "email", "e-mail"
        SERVICE = "apprise", "a service (Apprise URL)"
        WEBHOOK = "webhook", "webhook (signed JSON)"

    name = models.CharField(max_length=100, unique=True)
    enabled = models.BooleanField(default=True)
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.EMAIL)
    sealed_address = models.TextField(editable=False)
    # What may be shown of it.
    masked = models.CharField("address", max_length=200, editable=False)
    # With which a webhook's messages are signed.
    sealed_secret = models.TextField(editable=False, blank=True)
    may_reach_private = models.BooleanField(
        "may reach private addresses",
        default=False,
        help_text="This machine and private networks. Only an administrator may "
        "switch it on.",
    )
    subject = models.CharField(
        max_length=200,
        blank=True,
        help_text="Of a single alert's message. Placeholders: {state} {severity} "
        "{rule} {machine} {series} {value} {peak}. Empty: the usual one.",
    )

    quiet_from = models.TimeField(null=True, blank=True)
    quiet_until = models.TimeField(null=True, blank=True)
    quiet_days = models.JSONField(
        default=list, blank=True, validators=[week.check_days]
    )
    zone = models.CharField(
        "time zone", max_length=64, default="UTC", validators=[week.check_zone]
    )

    created_at = models.DateTimeField(default=timezone.now, editable=False)
    tested_at = models.DateTimeField(null=True, blank=True, editable=False)
    test_said = models.CharField(
        "last test", max_length=500, blank=True, editable=False
    )

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        week.check_pair(self.quiet_from, self.quiet_until, "Quiet hours")

    @property
    def address(self) -> str:
        """Return where it is reached. Raises secrets.Sealed; never show it."""
        return secrets.unseal(self.sealed_address)

    @property
    def secret(self) -> str:
        return secrets.unseal(self.sealed_secret)

    @property
    def quiet(self) -> Hours | None:
        """Return when warnings wait."""
        if self.quiet_from is None or self.quiet_until is None:
            return None
        days = days_of(self.quiet_days)
        return Hours(self.quiet_from, self.quiet_until, self.zone, days)

    def reach(self, address: str) -> None:
        """Set where it is reached, and what may be shown of it."""
        self.sealed_address = secrets.seal(address)
        self.masked = mask(address)

    def sign_with(self, secret: str) -> None:
        self.sealed_secret = secrets.seal(secret)


def mask(address: str) -> str:
    """Show enough to recognise an address, and nothing that opens a door.

    Of a service's URL only the kind is shown: in most of them even the "host" is
    a token.
    """
    scheme, found, rest = address.partition("://")
    if found:
        if scheme.lower() not in ("http", "https"):
            return f"{scheme[:40]}://…"
        host = rest.split("/", 1)[0].rpartition("@")[2]
        return f"{scheme}://{host[:100]}/…"
    name, _, domain = address.partition("@")
    return f"{name[:1]}…@{domain}"[:200]
