from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import AsyncClient, Client

from hub.machines.models import Machine

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "path",
    ["/api/", "/api/nothing", "/api/machines/", "/api/machines/a/b/c", "/api/%00"],
)
def test_an_unknown_address_is_said_in_json(path: str) -> None:
    response = Client().get(path)

    assert response.status_code == 404
    assert response.json() == {
        "error": "Nothing is here; /api/docs says what there is."
    }
    assert response["Content-Type"] == "application/json"


async def test_under_asgi_too() -> None:
    response = await AsyncClient().get("/api/nothing")

    assert response.status_code == 404
    assert response.json() == {
        "error": "Nothing is here; /api/docs says what there is."
    }


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_another_method_is_said_in_json(client: Client, method: str) -> None:
    response = getattr(client, method)("/api/machines")

    assert response.status_code == 405
    assert response["Allow"] == "GET"
    assert response.json() == {"error": "This address does not take that method."}


def test_a_forged_host_is_said_in_json(client: Client) -> None:
    response = client.get("/api/machines", headers={"Host": "evil.example"})

    assert response.status_code == 400
    assert response.json() == {"error": "The request makes no sense to the hub."}


def test_other_pages_keep_their_own_errors() -> None:
    assert "json" not in Client().get("/health/nothing")["Content-Type"]


def test_errors_keep_the_headers_that_protect() -> None:
    response = Client().get("/api/nothing")

    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Length"] == str(len(response.content))


def test_a_database_that_is_away_is_temporary(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(user: User) -> None:
        raise OperationalError("connection to 10.0.0.3 refused")

    monkeypatch.setattr("hub.machines.registry.visible_to", away)
    response = client.get("/api/machines")

    assert response.status_code == 503
    assert response["Retry-After"] == "5"
    assert response.json() == {"error": "The database does not answer; try again soon."}


def test_a_mistake_says_nothing_of_its_insides(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(user: User) -> None:
        raise RuntimeError("the secret insides")

    monkeypatch.setattr("hub.machines.registry.visible_to", broken)
    response = client.get("/api/machines")

    assert response.status_code == 500
    assert response.json() == {"error": "The hub made a mistake; its log says which."}


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("", "metric: Field required."),
        ("metric=", "metric: String should have at least 1 character."),
        (
            "metric=m&points=0",
            "points: Input should be greater than or equal to 1.",
        ),
        (
            "metric=m&points=5001",
            "points: Input should be less than or equal to 5000.",
        ),
        (
            "metric=m&points=many",
            "points: Input should be a valid integer, "
            "unable to parse string as an integer.",
        ),
        ("metric=m&from=yesterday", "from: It must be ISO 8601"),
        ("metric=m&to=2026-02-30", "to: It must be ISO 8601"),
        ("metric=m&from=1795161600000", "from: It must be in Unix seconds"),
        ("metric=m&from=-1h&to=-2h", "from: It must be earlier than to."),
        ("metric=m&attr=mountpoint", "attr: It must be written name:value."),
        ("metric=m&attr=a:b&attr=:x", "attr: It must be written name:value."),
        ("metric=m&attr=a:b&attr=a:c", "attr: No series has two values of a."),
    ],
)
def test_a_wrong_parameter_is_named(
    client: Client, web_1: Machine, query: str, sentence: str
) -> None:
    response = client.get(f"/api/machines/web-1/history?{query}")

    assert response.status_code == 422
    assert response.json()["error"].startswith(sentence)
