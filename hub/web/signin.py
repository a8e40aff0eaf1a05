"""Into the hub and out of it."""

from __future__ import annotations

from typing import Any

from allauth.socialaccount.providers.openid_connect import views as openid
from django.conf import settings
from django.contrib.auth import authenticate, logout
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from requests import RequestException

from hub.log import get_logger
from hub.people import audit, entry, oidc, second
from hub.people.entry import HalfIn, How
from hub.people.policy import anybody
from hub.people.signin import is_open, redeem

log = get_logger(__name__)

WRONG = "That name and password do not fit together. Check both; the password knows "
WRONG += "capital letters."
TOO_MANY = "Too many tries. Wait five minutes, or use a link of the hub's own console."
WRONG_CODE = "That code does not fit. An app shows a new one every half minute, and "
WRONG_CODE += "each works once."
PROBLEMS = {
    "provider": "{name} did not say who you are. Try again; the hub's log says more.",
    "refused": "{name} says who you are, but this hub does not let you in. Ask whoever "
    "runs it.",
    "late": "That took too long. Sign in again.",
}


@never_cache
@anybody
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """Ask for name and password; whoever is in already goes on."""
    if request.method == "POST":
        return _judge(request)
    if request.user.is_authenticated:
        return redirect("web:overview")
    return _form(request)


def _judge(request: HttpRequest) -> HttpResponse:
    name = request.POST.get("username", "").replace("\0", "")
    if not entry.may_try(request, name):
        return _form(request, TOO_MANY, status=429)
    user = authenticate(
        request, username=name, password=request.POST.get("password", "")
    )
    if not isinstance(user, User):
        entry.failed(request, name, "password")
        return _form(request, WRONG)
    next_url = request.POST.get("next", "")
    arrived = entry.arrive(request, user, How.PASSWORD, next_url)
    return redirect(entry.way(request, arrived, next_url))


def _form(request: HttpRequest, problem: str = "", status: int = 200) -> HttpResponse:
    said = PROBLEMS.get(request.GET.get("problem", ""), "")
    context = {
        "problem": problem or said.format(name=settings.OIDC_NAME),
        "name": request.POST.get("username", ""),
        "next": request.POST.get("next") or request.GET.get("next", ""),
        "provider": settings.OIDC_NAME if settings.OIDC_ISSUER else "",
    }
    return render(request, "web/sign_in.html", context, status=status)


@never_cache
@anybody
@require_http_methods(["GET", "HEAD", "POST"])
def code(request: HttpRequest) -> HttpResponse:
    """Ask for the code of the second factor."""
    half = entry.half_in(request)
    if half is None or half.secret:
        return redirect(oidc.problem("late"))
    if request.method != "POST":
        return render(request, "web/sign_in_code.html")
    if not entry.may_try_code(half.user):
        return _code_again(request, TOO_MANY, status=429)
    if not second.fits(half.user, request.POST.get("code", "")):
        entry.failed(request, half.user.get_username(), "code")
        return _code_again(request, WRONG_CODE)
    entry.enter(request, half.user, half.how, second_factor=True)
    return redirect(entry.way(request, entry.Next.IN, half.next))


def _code_again(request: HttpRequest, problem: str, status: int = 200) -> HttpResponse:
    return render(request, "web/sign_in_code.html", {"problem": problem}, status=status)


@never_cache
@anybody
@require_http_methods(["GET", "HEAD", "POST"])
def set_up(request: HttpRequest) -> HttpResponse:
    """Let an administrator set a second factor up, without which nobody gets in."""
    half = entry.half_in(request)
    if half is None or not half.secret:
        return redirect(oidc.problem("late"))
    if request.method != "POST":
        return _offer(request, half)
    if not entry.may_try_code(half.user):
        return _offer(request, half, TOO_MANY, status=429)
    codes = second.turn_on(half.user, half.secret, request.POST.get("code", ""))
    if codes is None:
        return _offer(request, half, WRONG_CODE)
    entry.enter(request, half.user, half.how, second_factor=True)
    audit.of(request, "second_factor.on", half.user.get_username())
    onward = entry.way(request, entry.Next.IN, half.next)
    return render(
        request, "web/recovery_codes.html", {"codes": codes, "onward": onward}
    )


def _offer(
    request: HttpRequest, half: HalfIn, problem: str = "", status: int = 200
) -> HttpResponse:
    context: dict[str, Any] = {
        "offer": second.offer(half.user, half.secret),
        "problem": problem,
        "is_required": True,
    }
    return render(request, "web/second_factor.html", context, status=status)


@never_cache
@anybody
@require_http_methods(["GET", "POST"])
def sign_in_link(request: HttpRequest, secret: str) -> HttpResponse:
    """Use up a one-time link.

    At once for whoever opened it from a terminal or typed it. Who came from another
    page is asked first: it may have been put there to sign them in as somebody else.
    """
    is_meant = request.headers.get("Sec-Fetch-Site") == "none"
    if request.method == "GET" and not is_meant and is_open(secret):
        return render(request, "web/link.html")
    user = redeem(secret)
    if user is None:
        # Opened twice by the same person: no reason to send them away.
        if request.user.is_authenticated:
            return redirect("web:overview")
        return render(request, "web/link_used.html", status=410)
    entry.arrive(request, user, How.LINK, "")
    return redirect("web:overview")


@anybody
@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        audit.of(request, "sign_out", request.user.get_username())
    logout(request)
    return redirect("web:sign_in")


@never_cache
@anybody
@require_GET
def to_provider(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Send somebody to the OpenID Connect provider; it changes only their session."""
    _need_provider()
    if request.headers.get("Sec-Fetch-Site") == "cross-site":
        # Another site wants to sign somebody in here. They may want it too.
        return redirect("web:sign_in")
    return _spoken(request, openid.login, provider_id)


@never_cache
@anybody
@require_GET
def from_provider(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Hear what it says; the library checks that this session has asked."""
    _need_provider()
    return _spoken(request, openid.callback, provider_id)


def _spoken(request: HttpRequest, view: Any, provider_id: str) -> HttpResponse:
    try:
        answer: HttpResponse = view(request, provider_id)
    except (RequestException, KeyError, ValueError) as error:
        # It is away, or what it says is nothing that a provider says.
        log.warning("oidc.failed", error=f"{type(error).__name__}: {error}")
        entry.failed(request, "", "provider", said=type(error).__name__)
        return redirect(oidc.problem("provider"))
    return answer


def _need_provider() -> None:
    if not settings.OIDC_ISSUER:
        raise Http404
