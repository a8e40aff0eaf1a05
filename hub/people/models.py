"""What a person holds: tokens for their programs, links to sign in with."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import models
from django.utils import timezone

SHA256_HEX = 64


class Scope(models.TextChoices):
    READ = "read", "read"
    OPERATE = "operate", "read and operate"


class ApiToken(models.Model):
    """A program's key to the REST API and the WebSocket; see `tokens`."""

    name = models.CharField(
        max_length=100,
        unique=True,
        help_text="What the token is for.",
        error_messages={"unique": "A token of this name exists already."},
    )
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    digest = models.CharField(max_length=SHA256_HEX, unique=True, editable=False)
    scope = models.CharField(max_length=10, choices=Scope, default=Scope.READ)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(
        null=True, blank=True, help_text="Empty: until it is revoked."
    )
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ("name",)
        verbose_name = "API token"

    def __str__(self) -> str:
        return self.name


class SignInLink(models.Model):
    """A link that signs one person in, once; see `signin`."""

    digest = models.CharField(max_length=SHA256_HEX, unique=True)
    user = models.ForeignKey(
        User, on_delete=models.CASCADE, related_name="sign_in_links"
    )
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.user.get_username()}, until {self.expires_at:%Y-%m-%d %H:%M}"


class AuditEntry(models.Model):
    """One line of the audit log; see `audit`."""

    SUBJECT_CHARACTERS = 200
    ADDRESS_CHARACTERS = 64

    at = models.DateTimeField(default=timezone.now, db_index=True)
    # Whoever is deleted keeps having done it: the name stays.
    by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, related_name="audit_entries"
    )
    by_name = models.CharField("by", max_length=150, blank=True)
    # Such as `sign_in.failed` or `rule.changed`.
    action = models.CharField(max_length=64, db_index=True)
    subject = models.CharField(max_length=SUBJECT_CHARACTERS, blank=True)
    address = models.CharField(max_length=ADDRESS_CHARACTERS, blank=True)
    detail = models.JSONField(default=dict)

    class Meta:
        ordering = ("-at", "-pk")
        verbose_name = "audit entry"
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.by_name or '-'} {self.action}"
