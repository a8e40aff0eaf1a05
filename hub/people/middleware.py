"""Between a request and its view: the session, and who may use the view.

Every view says the latter (`policy.py`); here is where it is enforced.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.sessions import middleware
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase

from hub.log import get_logger
from hub.people import policy
from hub.people.policy import Policy
from hub.people.roles import may

log = get_logger(__name__)


class SessionMiddleware(middleware.SessionMiddleware):
    """Take a cookie away only where the request itself ended its session.

    A page asks for its parts by itself. Such a request may be on its way with the old
    key while a new password brings a new one: an answer that takes the cookie away
    (as Django's does for any key it does not find) would sign the person out.
    """

    def process_response(
        self, request: HttpRequest, response: HttpResponse
    ) -> HttpResponse:
        answered = super().process_response(request, response)
        if not request.session.modified:
            answered.cookies.pop(settings.SESSION_COOKIE_NAME, None)
        return answered


class PolicyMiddleware(LoginRequiredMiddleware):
    """Look at the view first, and only then at who asks.

    Who it is costs a question to the database; `/health` must answer without one.
    """

    def process_view(
        self,
        request: HttpRequest,
        view_func: Callable[..., HttpResponseBase],
        view_args: tuple[Any, ...],
        view_kwargs: dict[str, Any],
    ) -> HttpResponseBase | None:
        said = _policy_of(request, view_func)
        if said is None:
            log.error(
                "policy.undeclared", view=f"{view_func.__module__}:{_name(view_func)}"
            )
            raise Http404
        if said is Policy.ANYBODY or said is Policy.ADMIN_SITE:
            return None
        if not request.user.is_authenticated:
            return self.handle_no_permission(request, view_func)
        if said.role is not None and not may(request.user, said.role):
            raise PermissionDenied
        return None


def _policy_of(request: HttpRequest, view: object) -> Policy | None:
    if (said := policy.declared(view)) is not None:
        return said
    match = request.resolver_match
    # Every address below /admin/ is wrapped by the site, which judges by itself.
    if match is not None and match.app_names[:1] == ["admin"]:
        return Policy.ADMIN_SITE
    return None


def _name(view: object) -> str:
    return getattr(view, "__qualname__", type(view).__name__)
