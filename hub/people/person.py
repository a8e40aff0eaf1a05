"""Who a request comes from."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.http import HttpRequest


def of(request: HttpRequest) -> User:
    """Return who asks, in a view whose policy lets nobody pass who is a stranger."""
    user = request.user
    assert isinstance(user, User), "the policy let a stranger in"
    return user
