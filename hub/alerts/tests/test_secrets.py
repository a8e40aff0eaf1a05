from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from pytest_django import Settings

from hub.alerts.secrets import KEY_FILE, Sealed, seal, unseal


def test_what_is_sealed_is_not_to_be_read_and_comes_back(
    settings: Settings,
) -> None:
    settings.NOTIFY_KEY = Fernet.generate_key().decode()

    token = seal("slack://secret")

    assert "secret" not in token
    assert token != seal("slack://secret")
    assert unseal(token) == "slack://secret"


def test_a_key_is_made_once_and_only_its_owner_may_read_it(
    settings: Settings, tmp_path: Path
) -> None:
    settings.NOTIFY_KEY, settings.DATA_DIR = "", tmp_path

    with ThreadPoolExecutor(8) as threads:
        tokens = list(threads.map(seal, ["word"] * 16))

    assert {unseal(token) for token in tokens} == {"word"}
    [kept] = tmp_path.iterdir()
    assert kept.name == KEY_FILE
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_a_new_key_in_front_opens_the_old_and_seals_anew(
    settings: Settings,
) -> None:
    settings.NOTIFY_KEY = "an old one"
    old = seal("word")

    settings.NOTIFY_KEY = "a new one, an old one"
    new = seal("word")
    assert unseal(old) == unseal(new) == "word"

    settings.NOTIFY_KEY = "a new one"
    assert unseal(new) == "word"
    with pytest.raises(Sealed, match="another key"):
        unseal(old)


def test_nothing_stays_nothing(settings: Settings) -> None:
    settings.NOTIFY_KEY = "any"

    assert (seal(""), unseal("")) == ("", "")
