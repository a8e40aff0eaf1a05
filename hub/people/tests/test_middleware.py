from __future__ import annotations

import pytest
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.test import RequestFactory

from hub.people.middleware import SignInRequiredMiddleware


class Unknowable(HttpRequest):
    """Nobody can be known while the database is away."""

    @property
    def user(self) -> User:  # type: ignore[override]
        raise AssertionError("the database was asked who this is")


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse("for people")


@login_not_required
def door(request: HttpRequest) -> HttpResponse:
    return HttpResponse("for everybody")


def judged(request: HttpRequest, view: object) -> HttpResponseBase | None:
    middleware = SignInRequiredMiddleware(page)
    return middleware.process_view(request, view, (), {})  # type: ignore[arg-type]


def test_an_open_view_needs_no_database() -> None:
    assert judged(Unknowable(), door) is None


def test_any_other_view_asks_who_it_is() -> None:
    with pytest.raises(AssertionError, match="who this is"):
        judged(Unknowable(), page)


def test_a_stranger_is_sent_to_the_sign_in(rf: RequestFactory) -> None:
    request = rf.get("/machines/web-1/")
    request.user = AnonymousUser()

    answer = judged(request, page)

    assert answer is not None
    assert answer.status_code == 302
    assert answer["Location"].endswith("?next=/machines/web-1/")


def test_a_person_passes(rf: RequestFactory) -> None:
    request = rf.get("/")
    request.user = User(username="ada")

    assert judged(request, page) is None
