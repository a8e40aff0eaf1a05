"""Settings that are each valid, and what is said of them together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from hub.checks import PLAIN, grpc_speaks_tls, is_plain_beyond, listens_safely

PAGES = ("/", "/alerts/", "/hub/", "/admin/", "/admin/machines/machine/")


@pytest.fixture(autouse=True)
def _usual(settings: Settings) -> None:
    settings.GRPC_HOST, settings.GRPC_TLS = "127.0.0.1", "auto"
    settings.GRPC_ALLOW_PLAINTEXT = False
    settings.GRPC_TLS_CERT = settings.GRPC_TLS_KEY = None
    settings.GRPC_TLS_CLIENT_CA = None
    settings.GRPC_MTLS, settings.AGENT_TOKEN = "off", ""
    settings.ALLOW_SQLITE = True


def found() -> set[str]:
    return {str(one.id) for one in listens_safely(None)}


def given(settings: Settings, **values: Any) -> None:
    for name, value in values.items():
        setattr(settings, name, value)


@pytest.mark.parametrize(
    ("host", "tls", "allowed", "spoken"),
    [
        ("127.0.0.1", "auto", False, False),
        ("127.0.0.1", "on", False, True),
        ("0.0.0.0", "auto", False, True),
        ("192.0.2.7", "auto", False, True),
        ("::", "auto", False, True),
        ("0.0.0.0", "auto", True, False),
        ("0.0.0.0", "on", True, True),
        ("0.0.0.0", "off", True, False),
        ("0.0.0.0", "off", False, False),
    ],
)
def test_tls_is_spoken_beyond_this_machine_unless_plain_text_is_meant(
    settings: Settings, host: str, tls: str, *, allowed: bool, spoken: bool
) -> None:
    given(settings, GRPC_HOST=host, GRPC_TLS=tls, GRPC_ALLOW_PLAINTEXT=allowed)

    assert grpc_speaks_tls() is spoken
    assert is_plain_beyond() is (not spoken and host != "127.0.0.1")
    # Plain text that nobody meant does not start.
    assert ("hub.E002" in found()) is (is_plain_beyond() and not allowed)


def test_an_own_certificate_is_for_speaking_tls(
    settings: Settings, tmp_path: Path
) -> None:
    for name in ("own.pem", "own.key"):
        (tmp_path / name).touch()
    given(settings, GRPC_TLS_CERT=tmp_path / "own.pem")
    alone = found()
    given(settings, GRPC_TLS_KEY=tmp_path / "own.key")

    assert (alone, found(), grpc_speaks_tls()) == ({"hub.E006"}, set(), True)
    (tmp_path / "own.key").unlink()
    assert found() == {"hub.E007"}


def test_required_certificates_leave_no_way_round_them(settings: Settings) -> None:
    given(settings, GRPC_MTLS="required", AGENT_TOKEN="shared")
    assert found() == {"hub.E008", "hub.E009"}

    given(settings, GRPC_TLS="on", AGENT_TOKEN="")
    assert found() == set()


def test_no_token_is_needed_for_other_machines_to_come_in(settings: Settings) -> None:
    given(settings, GRPC_HOST="0.0.0.0")

    assert found() == set()


@pytest.mark.django_db
@pytest.mark.parametrize("plain", [True, False])
def test_every_page_says_that_plain_text_is_spoken(
    settings: Settings, client: Client, *, plain: bool
) -> None:
    given(settings, GRPC_HOST="0.0.0.0", GRPC_ALLOW_PLAINTEXT=plain)
    client.force_login(User.objects.create_superuser("ada"))

    pages = [client.get(path) for path in PAGES]

    assert {page.status_code for page in pages} == {200}
    assert {PLAIN in page.content.decode() for page in pages} == {plain}
