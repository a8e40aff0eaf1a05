"""Whether who asks may change something, not only read."""

from __future__ import annotations

from ninja.errors import HttpError

from hub.api.auth import ApiRequest
from hub.people.models import ApiToken, Scope
from hub.people.roles import may_operate

READS = (
    "This token may only read. Make one with "
    "`manage.py apitoken create NAME --scope operate`."
)
LOOKS = "You may look, but not change anything: ask for the group “operator”."


def need_operator(request: ApiRequest) -> None:
    """Refuse whoever may not. A token needs the scope, and its user the role."""
    if not may_operate(request.user):
        raise HttpError(403, LOOKS)
    # What `auth.TokenAuth` or `auth.BrowserAuth` found.
    found = getattr(request, "auth", None)
    if isinstance(found, ApiToken) and found.scope != Scope.OPERATE:
        raise HttpError(403, READS)
