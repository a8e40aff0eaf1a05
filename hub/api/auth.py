"""Who asks: a program with a token, or a person's browser with a session."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError
from ninja.security import HttpBearer, SessionAuth

from hub.people import tokens
from hub.people.models import ApiToken

REFUSED = "Sign in, or send a valid token as `Authorization: Bearer smt_…`."
BAD_TOKEN = "The token is unknown, revoked or expired."


class ApiRequest(HttpRequest):
    """A request that passed one of the two below."""

    user: User


class TokenAuth(HttpBearer):
    """A token of `manage.py apitoken create`."""

    def authenticate(self, request: HttpRequest, token: str) -> ApiToken:
        found = tokens.find(token.strip())
        if found is None:
            # A wrong key is said to be wrong, even where a session would do.
            raise AuthenticationError(message=BAD_TOKEN)
        request.user = found.user
        return found


class BrowserAuth(SessionAuth):
    """The session of a person who signed in."""

    def authenticate(self, request: HttpRequest, key: str | None) -> User | None:
        return request.user if request.user.is_authenticated else None


AUTH: list[Callable[[HttpRequest], Any]] = [TokenAuth(), BrowserAuth()]


def known_only(
    view: Callable[..., HttpResponse], api: NinjaAPI
) -> Callable[..., HttpResponse]:
    """Guard a view that django-ninja itself does not authenticate."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            if not any(knows(request) for knows in AUTH):
                raise AuthenticationError
        except Exception as refused:  # noqa: BLE001 - the API's handlers judge it
            return api.on_exception(request, refused)
        return view(request, *args, **kwargs)

    return guarded
