from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.test import RequestFactory
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from hub.people import policy
from hub.people.middleware import PolicyMiddleware
from hub.people.policy import Policy, administrator, anybody, operator, viewer
from hub.people.roles import Role


class Unknowable(HttpRequest):
    """Nobody can be known while the database is away."""

    @property
    def user(self) -> User:  # type: ignore[override]
        raise AssertionError("the database was asked who this is")


@viewer
def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse("for people")


@anybody
def door(request: HttpRequest) -> HttpResponse:
    return HttpResponse("for everybody")


@operator
def lever(request: HttpRequest) -> HttpResponse:
    return HttpResponse("for operators")


@administrator
def office(request: HttpRequest) -> HttpResponse:
    return HttpResponse("for administrators")


def forgotten(request: HttpRequest) -> HttpResponse:
    return HttpResponse("for whom?")


def judged(request: HttpRequest, view: object) -> HttpResponseBase | None:
    middleware = PolicyMiddleware(page)
    return middleware.process_view(request, view, (), {})  # type: ignore[arg-type]


def asked_by(user: User | AnonymousUser) -> HttpRequest:
    request = RequestFactory().get("/machines/web-1/")
    request.user = user
    return request


def somebody(role: Role) -> User:
    user = User.objects.create_user(role.value)
    user.groups.add(Group.objects.get_or_create(name=role.value)[0])
    return user


def passes(user: User, view: object) -> bool:
    try:
        return judged(asked_by(user), view) is None
    except PermissionDenied:
        return False


def test_an_open_view_needs_no_database() -> None:
    assert judged(Unknowable(), door) is None


def test_any_other_view_asks_who_it_is() -> None:
    with pytest.raises(AssertionError, match="who this is"):
        judged(Unknowable(), page)


@pytest.mark.parametrize("view", [page, lever, office])
def test_a_stranger_is_sent_to_the_sign_in(view: object) -> None:
    answer = judged(asked_by(AnonymousUser()), view)

    assert answer is not None
    assert answer.status_code == 302
    assert answer["Location"].endswith("?next=/machines/web-1/")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("role", "may"),
    [
        (Role.VIEWER, [True, True, False, False]),
        (Role.OPERATOR, [True, True, True, False]),
        (Role.ADMINISTRATOR, [True, True, True, True]),
    ],
)
def test_each_role_may_what_the_one_before_may(role: Role, may: list[bool]) -> None:
    user = somebody(role)

    assert [passes(user, view) for view in (door, page, lever, office)] == may


@pytest.mark.django_db
def test_a_view_that_says_nothing_is_refused_to_everybody() -> None:
    with pytest.raises(Http404):
        judged(asked_by(User.objects.create_superuser("ada")), forgotten)
    with pytest.raises(Http404):
        judged(Unknowable(), forgotten)


def test_what_is_said_passes_through_the_decorators_of_django() -> None:
    assert policy.declared(never_cache(require_safe(lever))) is Policy.OPERATOR
