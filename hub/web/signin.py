"""Into the hub and out of it."""

from __future__ import annotations

from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from hub.people.signin import redeem

# A link was opened by somebody with the hub's terminal: no password to check.
BACKEND = "django.contrib.auth.backends.ModelBackend"

sign_out = LogoutView.as_view(next_page="web:sign_in")
_login = LoginView.as_view(template_name="web/sign_in.html")


@login_not_required
def sign_in(request: HttpRequest) -> HttpResponseBase:
    """Ask for name and password; whoever is in already goes on."""
    if request.user.is_authenticated and request.method == "GET":
        return redirect("web:overview")
    return _login(request)


@never_cache
@login_not_required
@require_GET
def sign_in_link(request: HttpRequest, secret: str) -> HttpResponse:
    """Use up a one-time link."""
    user = redeem(secret)
    if user is None:
        # Opened twice by the same person: no reason to send them away.
        if request.user.is_authenticated:
            return redirect("web:overview")
        return render(request, "web/link_used.html", status=410)
    login(request, user, backend=BACKEND)
    return redirect("web:overview")
