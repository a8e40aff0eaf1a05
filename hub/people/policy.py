"""Who may use a view: said at the view, and enforced in one place.

    @never_cache
    @operator
    @require_POST
    def collect_now(request: HttpRequest) -> HttpResponse: ...

A view that says nothing is refused. The same words stand at the operations of the
REST API; `hub.api.policy` enforces them there.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar

from hub.people.roles import Role

View = TypeVar("View", bound=Callable[..., Any])

# Where a view keeps what was said of it; `functools.wraps` passes it on.
ATTRIBUTE = "policy"


class Policy(StrEnum):
    """Who is let in."""

    # Also people nobody knows, or a view that asks by itself who it is.
    ANYBODY = "anybody"
    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMINISTRATOR = "administrator"
    # The admin: its site and each model's permissions decide.
    ADMIN_SITE = "admin site"

    @property
    def role(self) -> Role | None:
        """The role that it takes; None = it is not decided by a role alone."""
        return Role(self.value) if self.value in set(Role) else None


def declare(view: View, policy: Policy) -> View:
    """Say it of a view that was made elsewhere."""
    setattr(view, ATTRIBUTE, policy)
    # Django's own check of the same name must not decide otherwise.
    setattr(view, "login_required", policy is not Policy.ANYBODY)  # noqa: B010 - an attribute of any callable
    return view


def declared(view: object) -> Policy | None:
    """Return what was said of a view."""
    found = getattr(view, ATTRIBUTE, None)
    return found if isinstance(found, Policy) else None


def anybody(view: View) -> View:
    """Let everybody in, signed in or not."""
    return declare(view, Policy.ANYBODY)


def viewer(view: View) -> View:
    """Let in who is signed in."""
    return declare(view, Policy.VIEWER)


def operator(view: View) -> View:
    """Let in operators and administrators."""
    return declare(view, Policy.OPERATOR)


def administrator(view: View) -> View:
    """Let in administrators."""
    return declare(view, Policy.ADMINISTRATOR)
