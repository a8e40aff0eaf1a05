"""The API does what its own description says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.contrib.auth.models import User
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, connection
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from schemathesis import BaseSchema, Case, GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance

from hub.alerts import defaults
from hub.alerts.models import Alert, Rule
from hub.api.tests.conftest import CPU
from hub.machines.models import Machine
from hub.people import tokens


@pytest.fixture
def _one_connection() -> Iterator[None]:
    """Requests stay on the test's connection, as they do in Django's own client."""
    seams = (request_started, request_finished)
    for seam in seams:
        seam.disconnect(close_old_connections)
    yield
    for seam in seams:
        seam.connect(close_old_connections)


@pytest.fixture
def described(
    _one_connection: None, token: str, web_1: Machine, odd: Machine, new: Machine
) -> BaseSchema:
    return schemathesis.openapi.from_wsgi(
        "/api/openapi.json",
        get_wsgi_application(),
        headers={"Authorization": f"Bearer {token}"},
    )


# Every example is one request to a real view and a real database. The many are put
# to the one that production has: views are the same on the other.
IS_EMBEDDED = connection.vendor == "sqlite"
EXAMPLES = settings(
    max_examples=2 if IS_EMBEDDED else 20,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
PATHS = (
    "/api/machines",
    "/api/machines/{machine_id}/metrics",
    "/api/machines/{machine_id}/account",
    "/api/machines/{machine_id}/history",
    "/api/hub",
    "/api/alerts",
    "/api/alerts/{alert_id}",
    "/api/rules",
    "/api/rules/{rule_id}",
)
WRITES = (
    ("POST", "/api/alerts/{alert_id}/acknowledge"),
    ("DELETE", "/api/alerts/{alert_id}/acknowledge"),
    ("POST", "/api/alerts/{alert_id}/silence"),
    ("DELETE", "/api/alerts/{alert_id}/silence"),
    ("POST", "/api/rules"),
    ("PATCH", "/api/rules/{rule_id}"),
    ("DELETE", "/api/rules/{rule_id}"),
)


# The order of two moments, and days that a month lacks, cannot be described.
BEYOND_WORDS = ("from: ", "to: ", "after: ", "attr: No series has two")


def ask_and_judge(case: Case[Any], token: str) -> int:
    response = case.call_and_validate(
        headers={"Authorization": f"Bearer {token}"},
        excluded_checks=[positive_data_acceptance],
    )
    described = case.meta is not None and case.meta.generation.mode.is_positive
    if described and response.status_code == 422:
        assert response.json()["error"].startswith(BEYOND_WORDS)
    return response.status_code


def test_the_description_has_what_is_tested_here(described: BaseSchema) -> None:
    results = described.get_all_operations()
    found = [result.ok() for result in results if isinstance(result, Ok)]

    told = sorted((one.method.upper(), one.path) for one in found)
    assert told == sorted([*(("GET", path) for path in PATHS), *WRITES])


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("mode", GenerationMode)
def test_any_question_is_answered_as_described(
    described: BaseSchema, token: str, path: str, mode: GenerationMode
) -> None:
    @EXAMPLES
    @given(case=described[path]["GET"].as_strategy(generation_mode=mode))
    def ask(case: Case[Any]) -> None:
        ask_and_judge(case, token)

    ask()


@pytest.mark.parametrize(("method", "path"), WRITES)
@pytest.mark.parametrize("mode", GenerationMode)
def test_any_change_is_answered_as_described(
    described: BaseSchema,
    token: str,
    user: User,
    method: str,
    path: str,
    mode: GenerationMode,
) -> None:
    user.is_staff = True
    user.save()
    operate = tokens.create("operate", user, scope="operate")
    # A test before this one may have emptied the tables.
    defaults.install()
    known = {"alert_id": an_alert(), "rule_id": Rule.objects.values_list("pk")[0][0]}

    @settings(EXAMPLES, max_examples=2 if IS_EMBEDDED else 10)
    @given(case=described[path][method].as_strategy(generation_mode=mode))
    def ask(case: Case[Any]) -> None:
        for name, number in known.items():
            if name in (case.path_parameters or {}) and mode.is_positive:
                case.path_parameters[name] = number
        case.call_and_validate(
            headers={"Authorization": f"Bearer {operate}"},
            excluded_checks=[positive_data_acceptance],
        )

    ask()


def an_alert() -> int:
    now = timezone.now()
    return Alert.objects.create(
        machine_title="web-1",
        series_key="x",
        severity="warning",
        peak_severity="warning",
        opened_at=now,
        changed_at=now,
    ).pk


@pytest.mark.parametrize("path", PATHS[1:3])
def test_questions_about_a_known_machine_too(
    described: BaseSchema, token: str, path: str
) -> None:
    codes = set()

    @EXAMPLES
    @given(case=described[path]["GET"].as_strategy())
    def ask(case: Case[Any]) -> None:
        case.path_parameters["machine_id"] = "web-1"
        if path.endswith("history"):
            case.query["metric"] = CPU.metric
        codes.add(ask_and_judge(case, token))

    ask()
    assert 200 in codes
