"""Each operation says who may use it (`hub.people.policy`); enforced here."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from ninja.errors import HttpError

from hub.api.auth import ApiRequest
from hub.log import get_logger
from hub.people import policy
from hub.people.models import ApiToken, Scope
from hub.people.policy import Policy
from hub.people.roles import Role, may

READS = (
    "This token may only read. Make one with "
    "`manage.py apitoken create NAME --scope operate`."
)
LOOKS = "You may look, but not change anything: ask for the group “operator”."
ADMINISTERS = "That is for administrators."

log = get_logger(__name__)


def enforced(operation: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap an operation, so that it runs for those only whom it is declared for."""
    said = policy.declared(operation)
    name = operation.__qualname__

    if iscoroutinefunction(operation):

        @wraps(operation)
        async def awaited(request: ApiRequest, *args: Any, **kwargs: Any) -> Any:
            await sync_to_async(_judge)(request, said, name)
            return await operation(request, *args, **kwargs)

        return awaited

    @wraps(operation)
    def called(request: ApiRequest, *args: Any, **kwargs: Any) -> Any:
        _judge(request, said, name)
        return operation(request, *args, **kwargs)

    return called


def _judge(request: ApiRequest, said: Policy | None, name: str) -> None:
    """Refuse whoever may not. A token needs the scope, and its user the role."""
    if said is None or said.role is None:
        log.error("policy.undeclared", operation=name)
        raise HttpError(404, "There is nothing here.")
    if not may(request.user, said.role):
        raise HttpError(403, LOOKS if said is Policy.OPERATOR else ADMINISTERS)
    # What `auth.TokenAuth` or `auth.BrowserAuth` found.
    found = getattr(request, "auth", None)
    if (
        isinstance(found, ApiToken)
        and said.role is not Role.VIEWER
        and found.scope != Scope.OPERATE
    ):
        raise HttpError(403, READS)
