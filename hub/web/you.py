"""One's own account: password, second factor, programs' tokens, where one is in."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.contrib.auth import password_validation, update_session_auth_hash
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from hub.machines.models import Tag
from hub.machines.sight import limits_of
from hub.people import audit, entry, person, sealing, second, sessions, tokens
from hub.people.entry import How
from hub.people.models import ApiToken, Scope
from hub.people.policy import viewer
from hub.people.roles import may_administer, may_operate, role_of
from hub.web.signin import TOO_MANY, WRONG_CODE

PENDING = "second_factor"

MAX_TOKENS = 50
LIFETIMES = {
    "30": "30 days",
    "90": "90 days",
    "365": "1 year",
    "": "Until it is revoked",
}


@never_cache
@viewer
@require_safe
def you(request: HttpRequest) -> HttpResponse:
    return _page(request)


@never_cache
@viewer
@sensitive_post_parameters("old", "new")
@require_POST
def password(request: HttpRequest) -> HttpResponse:
    """Change it, or choose the first one. All other sessions end."""
    user, new = person.of(request), request.POST.get("new", "")
    if not entry.may_try(request, user.get_username()):
        return _page(request, {"password": TOO_MANY}, status=429)
    if _needs_old(request) and not user.check_password(request.POST.get("old", "")):
        audit.of(request, "password.failed", user.get_username())
        return _page(request, {"password": "The password you have is another one."})
    try:
        password_validation.validate_password(new, user)
    except ValidationError as wrong:
        return _page(request, {"password": " ".join(wrong.messages)})
    user.set_password(new)
    user.save(update_fields=["password"])
    update_session_auth_hash(request, user)
    audit.of(request, "password.changed", user.get_username())
    messages.success(request, "The password is changed. Other sessions have ended.")
    return redirect("web:you")


@never_cache
@viewer
@require_POST
def second_factor(request: HttpRequest) -> HttpResponse:
    """Show what to scan; with its first code, turn the second factor on."""
    user = person.of(request)
    code = request.POST.get("code")
    kept = request.session.get(PENDING)
    if code is None or not kept:
        secret = second.new_secret()
        request.session[PENDING] = sealing.seal(secret)
        return _offer(request, secret)
    secret = sealing.unseal(kept)
    if not entry.may_try_code(user):
        return _offer(request, secret, TOO_MANY)
    if second.is_on(user):
        # Replaced by whoever has it, not by whoever sits down at an open browser.
        return redirect("web:you")
    codes = second.turn_on(user, secret, code)
    if codes is None:
        return _offer(request, secret, WRONG_CODE)
    del request.session[PENDING]
    audit.of(request, "second_factor.on", user.get_username())
    return _codes(request, codes)


@never_cache
@viewer
@require_POST
def second_factor_off(request: HttpRequest) -> HttpResponse:
    """Turn it off. Somebody who came by a link of the console needs no code."""
    user = person.of(request)
    if problem := _code_problem(request):
        return _page(request, {"second": problem})
    second.turn_off(user)
    audit.of(request, "second_factor.off", user.get_username())
    messages.success(request, "The second factor is off.")
    return redirect("web:you")


@never_cache
@viewer
@require_POST
def recovery_codes(request: HttpRequest) -> HttpResponse:
    user = person.of(request)
    if not second.is_on(user):
        return redirect("web:you")
    if problem := _code_problem(request):
        return _page(request, {"second": problem})
    audit.of(request, "second_factor.codes", user.get_username())
    return _codes(request, second.new_recovery_codes(user))


@never_cache
@viewer
@require_POST
def make_token(request: HttpRequest) -> HttpResponse:
    """Make a token and show its secret, this once."""
    user = person.of(request)
    name = request.POST.get("name", "").replace("\0", "").strip()
    scope = request.POST.get("scope", Scope.READ)
    days = request.POST.get("days", "90")
    if user.api_tokens.count() >= MAX_TOKENS:
        return _page(request, {"tokens": "That are enough: revoke one first."})
    if scope == Scope.OPERATE and not may_operate(user):
        return _page(request, {"tokens": "Only operators have tokens that operate."})
    if days not in LIFETIMES or scope not in Scope.values:
        return _page(request, {"tokens": "Choose what it may do, and how long."})
    expires_at = timezone.now() + timedelta(days=int(days)) if days else None
    try:
        secret = tokens.create(name, user, scope=scope, expires_at=expires_at)
    except ValidationError as wrong:
        return _page(request, {"tokens": " ".join(wrong.messages)})
    audit.of(request, "token.made", name, scope=scope, days=days or "never ends")
    return _page(request, {}, {"secret": secret, "secret_name": name})


@never_cache
@viewer
@require_POST
def revoke_token(request: HttpRequest, pk: int) -> HttpResponse:
    token = get_object_or_404(ApiToken, pk=pk, user=person.of(request))
    token.delete()
    audit.of(request, "token.revoked", token.name)
    messages.success(request, f"The token “{token.name}” lets nobody in any more.")
    return redirect("web:you")


@never_cache
@viewer
@require_POST
def end_sessions(request: HttpRequest) -> HttpResponse:
    """End all other sessions, or the one that is named."""
    user = person.of(request)
    only = request.POST.get("id") or None
    count = sessions.end(user, but=request.session.session_key, only=only)
    audit.of(request, "sessions.ended", user.get_username(), count=count)
    said = "One session has ended." if count == 1 else f"{count} sessions have ended."
    messages.success(request, said if count else "There was no other session.")
    return redirect("web:you")


def _page(
    request: HttpRequest,
    problems: dict[str, str] | None = None,
    more: dict[str, Any] | None = None,
    status: int = 200,
) -> HttpResponse:
    user = person.of(request)
    limits = limits_of(user)
    context = {
        "here": "you",
        "role": role_of(user),
        "is_limited": limits.exists(),
        "tags": Tag.objects.filter(sights__in=limits).distinct(),
        "may_operate": may_operate(user),
        "needs_old": _needs_old(request),
        "has_password": user.has_usable_password(),
        "second_is_on": second.is_on(user),
        "needs_code": _needs_code(request),
        "codes_left": second.recovery_codes_left(user),
        "should_set_up": may_administer(user),
        "tokens": user.api_tokens.order_by("name"),
        "lifetimes": LIFETIMES.items(),
        "now": timezone.now(),
        "sessions": sessions.of(user, request.session.session_key),
        "problems": problems or {},
        **(more or {}),
    }
    return render(request, "web/you.html", context, status=status)


def _offer(request: HttpRequest, secret: str, problem: str = "") -> HttpResponse:
    context = {"offer": second.offer(person.of(request), secret), "problem": problem}
    return render(request, "web/second_factor.html", context)


def _codes(request: HttpRequest, codes: list[str]) -> HttpResponse:
    return render(request, "web/recovery_codes.html", {"codes": codes, "here": "you"})


def _code_problem(request: HttpRequest) -> str:
    user = person.of(request)
    if not _needs_code(request) or not second.is_on(user):
        return ""
    if not entry.may_try_code(user):
        return TOO_MANY
    return "" if second.fits(user, request.POST.get("code", "")) else WRONG_CODE


def _needs_code(request: HttpRequest) -> bool:
    return entry.how_in(request) != How.LINK


def _needs_old(request: HttpRequest) -> bool:
    """Whoever forgot it comes by a link of the console, and has none to type."""
    is_by_link = entry.how_in(request) == How.LINK
    return person.of(request).has_usable_password() and not is_by_link
