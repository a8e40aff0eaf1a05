"""The REST API: JSON for programs, described at /api/docs."""

from __future__ import annotations

from typing import Any

import orjson
from django.http import HttpRequest
from django.urls import URLPattern, URLResolver
from django.views.decorators.cache import never_cache
from ninja import NinjaAPI
from ninja.renderers import BaseRenderer

from hub.api import errors
from hub.api.alerts import router as alerts_router
from hub.api.auth import AUTH, known_only
from hub.api.hub import router as hub_router
from hub.api.machines import router
from hub.api.policy import enforced
from hub.api.rules import router as rules_router
from hub.people import policy

DESCRIPTION = """
What the hub knows about your machines, as JSON.

**Who asks.** Make a token under [Your account](/you/#tokens), or with
`manage.py apitoken create NAME`, and send it as `Authorization: Bearer smt_…`.
A browser that signed in needs none.

**Refusals** are JSON with one sentence: `{"error": "…"}`.

**Times** are UTC. **Ratios** are 0 to 1.
"""


class Orjson(BaseRenderer):
    """Fast, and never writes NaN."""

    media_type = "application/json"

    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> bytes:
        return orjson.dumps(data, option=orjson.OPT_UTC_Z)


class Api(NinjaAPI):
    @property
    def urls(self) -> tuple[list[URLResolver | URLPattern], str, str]:
        """The addresses, marked as open: the API asks by itself who it is.

        A sign-in page is no answer to a program. The page of the documents is for
        people, and stays behind the sign-in.
        """
        patterns, app, namespace = super().urls
        for pattern in patterns:
            if not isinstance(pattern, URLPattern):
                continue
            view = pattern.callback
            if pattern.name == "openapi-view":
                pattern.callback = policy.viewer(view)
                continue
            if pattern.name == "openapi-json":
                view = known_only(view, self)
            pattern.callback = policy.anybody(never_cache(view))
        return patterns, app, namespace


api = Api(
    title="sysmonstm",
    version="1",
    description=DESCRIPTION,
    urls_namespace="api",
    auth=AUTH,
    renderer=Orjson(),
)
errors.install(api)
api.add_decorator(enforced)
api.add_router("", router)
api.add_router("", alerts_router)
api.add_router("", rules_router)
api.add_router("", hub_router)
