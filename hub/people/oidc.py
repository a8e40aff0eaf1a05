"""Sign-in with an OpenID Connect provider: allauth speaks, here it is decided who.

Somebody the provider has named before is known by its number for them; else by an
e-mail address that the provider has verified and one account here has; else they are
new, and may look.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from itertools import count
from typing import Any

from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialAccount, SocialLogin
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.shortcuts import redirect
from django.urls import reverse

from hub.log import get_logger
from hub.people import entry
from hub.people.entry import How
from hub.people.roles import Role

PROVIDER = "oidc"
MAX_UID_CHARACTERS = 191

log = get_logger(__name__)


class Refused(Exception):
    """The provider knows them and the hub does not let them in; says why."""


class Adapter(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Takes over where the protocol ends."""

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        raise ImmediateHttpResponse(redirect(_entered(request, sociallogin)))

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,
        error: Any = None,
        exception: Exception | None = None,
        extra_context: Any = None,
    ) -> None:
        why = str(error or "")
        log.warning("oidc.failed", error=why, exception=str(exception or ""))
        entry.failed(request, "", "provider", said=why)
        raise ImmediateHttpResponse(redirect(problem("provider")))


def problem(name: str) -> str:
    """Return the sign-in page, which says what went wrong."""
    return f"{reverse('web:sign_in')}?problem={name}"


def person(claims: Mapping[str, Any]) -> User:
    """Return the account of whom the provider named. Raises Refused."""
    uid = str(claims.get("sub") or "")
    if not 0 < len(uid) <= MAX_UID_CHARACTERS:
        raise Refused("no number")
    account = {"provider": _provider(), "uid": uid}
    for _ in range(2):
        try:
            with transaction.atomic():
                user = _known(account) or _connected(account, claims)
                _give_roles(user, claims)
            break
        except IntegrityError:
            # Somebody's two first sign-ins at once: the other one made it.
            continue
    else:
        raise Refused("twice at once")
    if not user.is_active:
        raise Refused("not active")
    return user


def _entered(request: HttpRequest, sociallogin: SocialLogin) -> str:
    """Let them in; return where they go."""
    try:
        user = person(claims_of(sociallogin.account.extra_data))
    except Refused as refused:
        log.warning("oidc.refused", why=str(refused))
        entry.failed(request, "", "provider", said=str(refused))
        return problem("refused")
    next_url = sociallogin.state.get("next") or ""
    arrived = entry.arrive(request, user, How.PROVIDER, next_url)
    return entry.way(request, arrived, next_url)


def claims_of(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the provider says of them, in its token and when asked.

    Raises Refused when the two are about different people.
    """
    token, told = said.get("id_token") or {}, said.get("userinfo") or {}
    if token and told and token.get("sub") != told.get("sub"):
        raise Refused("two people")
    return {**token, **told}


def _known(account: Mapping[str, str]) -> User | None:
    found = SocialAccount.objects.filter(**account).select_related("user").first()
    return found.user if found else None


def _connected(account: Mapping[str, str], claims: Mapping[str, Any]) -> User:
    email = _verified_email(claims)
    found = list(User.objects.filter(email__iexact=email)[:2]) if email else []
    if len(found) > 1:
        raise Refused("two accounts have this address")
    user = found[0] if found else _made(email, claims)
    SocialAccount.objects.create(user=user, **account)
    return user


def _verified_email(claims: Mapping[str, Any]) -> str:
    email = claims.get("email")
    # Some providers write booleans as text; "false" is no yes.
    verified = claims.get("email_verified") in (True, "true")
    return email.strip() if verified and isinstance(email, str) else ""


def _made(email: str, claims: Mapping[str, Any]) -> User:
    wished = claims.get("preferred_username") or email.partition("@")[0]
    # A name that begins with "_" is the hub's own.
    name = re.sub(r"[^\w.@+-]", "", str(wished)).strip("_")[:100] or "person"
    for number in count(1):
        user = User(username=name if number == 1 else f"{name}-{number}", email=email)
        if not User.objects.filter(username__iexact=user.username).exists():
            user.set_unusable_password()
            user.save()
            return user
    raise AssertionError("count() ends never")


def _give_roles(user: User, claims: Mapping[str, Any]) -> None:
    """Put somebody into the groups that the provider's groups mean, and no others.

    Roles that OIDC_ROLES does not name are a person's to give.
    """
    meant: Mapping[str, str] = settings.OIDC_ROLES
    if not meant:
        return
    said = claims.get(settings.OIDC_GROUPS_CLAIM)
    groups = {said} if isinstance(said, str) else set(map(str, said or ()))
    earned = {role for group, role in meant.items() if group in groups}
    for role in {Role(name) for name in meant.values()}:
        group, _ = Group.objects.get_or_create(name=role.value)
        if role.value in earned:
            user.groups.add(group)
        else:
            user.groups.remove(group)
    if Role.ADMINISTRATOR.value in meant.values() and not user.is_superuser:
        user.is_staff = Role.ADMINISTRATOR.value in earned
        user.save(update_fields=["is_staff"])


def _provider() -> str:
    """Return the provider's name: numbers of another one mean other people."""
    issuer = settings.OIDC_ISSUER.rstrip("/")
    return f"{PROVIDER}:{hashlib.sha256(issuer.encode()).hexdigest()[:16]}"
