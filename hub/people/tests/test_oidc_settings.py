from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from hub.env import Env

KNOWN = {"oidc_client_id": "hub"}


def made(**said: Any) -> Env:
    return Env(**said)


@pytest.mark.parametrize(
    "issuer",
    ["", "https://login.example.org/realms/home", "http://127.0.0.1:8080/x"],
)
def test_a_provider_is_reached_by_tls_or_on_this_machine(issuer: str) -> None:
    assert made(oidc_issuer=issuer, **KNOWN).oidc_issuer == issuer


@pytest.mark.parametrize(
    "issuer",
    [
        "http://login.example.org",
        "http://localhost.evil.example",
        "http://127.0.0.1@evil.example",
        "login.example.org",
        "ftp://localhost",
    ],
)
def test_nobody_on_the_way_may_say_who_signs_in(issuer: str) -> None:
    with pytest.raises(ValidationError, match="must look like"):
        made(oidc_issuer=issuer, **KNOWN)


def test_a_provider_must_know_the_hub() -> None:
    with pytest.raises(ValidationError, match="without it"):
        made(oidc_issuer="https://login.example.org")


def test_groups_give_roles_that_there_are() -> None:
    found = made(oidc_roles="admins=administrator, night shift = operator ,")

    assert found.oidc_roles == {"admins": "administrator", "night shift": "operator"}
    for wrong in ("admins", "admins=boss", "a=operator=b"):
        with pytest.raises(ValidationError, match="must look like"):
            made(oidc_roles=wrong)
