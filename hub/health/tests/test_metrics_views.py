from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.http.response import HttpResponseBase
from django.test import AsyncClient, Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from hub.machines.models import Machine
from hub.people import tokens

pytestmark = pytest.mark.django_db

BOTH = pytest.mark.parametrize("path", ["/metrics", "/metrics/machines"])


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create_user("ada")


async def body(response: HttpResponseBase) -> str:
    if not response.streaming:
        return bytes(response.content).decode()  # type: ignore[attr-defined]
    pieces = [piece async for piece in response.streaming_content]  # type: ignore[attr-defined]
    return b"".join(pieces).decode()


@BOTH
async def test_strangers_are_told_how_to_come_in(path: str) -> None:
    response = await AsyncClient().get(path)

    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
    assert "apitoken" in await body(response)


@BOTH
def test_a_token_lets_a_scraper_in(path: str, user: User) -> None:
    Machine.objects.create(machine_id="web-1")
    secret = tokens.create("prometheus", user)

    response, text = fetched(path, Authorization=f"Bearer {secret}")

    assert response.status_code == 200
    assert response["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "no-cache" in response["Cache-Control"]
    assert list(text_string_to_metric_families(text))


@BOTH
def test_an_expired_token_does_not(path: str, user: User) -> None:
    over = timezone.now() - timedelta(seconds=1)
    secret = tokens.create("prometheus", user, expires_at=over)

    response, _ = fetched(path, Authorization=f"Bearer {secret}")

    assert response.status_code == 401


@BOTH
def test_a_wrong_token_is_wrong_even_where_all_may_read(
    path: str, settings: Settings
) -> None:
    settings.METRICS_PUBLIC = True

    response, _ = fetched(path, Authorization="Bearer smt_wrong")

    assert response.status_code == 401


@BOTH
def test_everybody_may_read_where_that_is_set(path: str, settings: Settings) -> None:
    settings.METRICS_PUBLIC = True
    Machine.objects.create(machine_id="web-1")

    response, text = fetched(path)

    assert response.status_code == 200
    assert "# TYPE" in text


def test_a_person_who_signed_in_reads_the_hubs_numbers(user: User) -> None:
    client = Client()
    client.force_login(user)

    response = client.get("/metrics")

    assert response.status_code == 200
    assert "sysmonstm_frames_total{" in response.content.decode()


@BOTH
def test_nothing_is_changed_there(path: str) -> None:
    assert Client().post(path).status_code == 405


def fetched(path: str, **headers: str) -> tuple[HttpResponseBase, str]:
    """Ask as a scraper; the answer may come in pieces."""
    from asgiref.sync import async_to_sync

    async def fetch() -> tuple[HttpResponseBase, str]:
        response = await AsyncClient().get(path, headers=headers)
        return response, await body(response)

    return async_to_sync(fetch)()
