from __future__ import annotations

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth
from django.contrib.auth.models import User

from hub.people import sealing, second

pytestmark = pytest.mark.django_db

NOON_S = 1_763_640_000


@pytest.fixture
def ada() -> User:
    return User.objects.create_user("ada")


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The time of the codes, moved by hand."""
    now = [NOON_S]
    monkeypatch.setattr(auth.time, "time", lambda: now[0])
    return now


def code(secret: str, at_s: int = NOON_S) -> str:
    return str(auth.format_hotp_value(auth.hotp_value(secret, at_s // 30)))


@pytest.fixture
def secret(ada: User, clock: list[int]) -> str:
    """Ada has turned it on, a minute and a half ago."""
    secret = second.new_secret()
    assert second.turn_on(ada, secret, code(secret)) is not None
    clock[0] += 90
    return secret


def test_it_is_the_published_algorithm() -> None:
    # RFC 6238, appendix B: of these eight digits an app shows the last six.
    key = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"

    assert code(key, 59) == "94287082"[2:]
    assert code(key, 1111111109) == "07081804"[2:]


def test_it_is_on_only_after_a_right_code(ada: User) -> None:
    secret = second.new_secret()

    assert second.turn_on(ada, secret, "000000") is None
    assert not second.is_on(ada)
    codes = second.turn_on(ada, secret, code(secret))

    assert codes is not None
    assert len(set(codes)) == 10
    assert second.is_on(ada)


def test_a_code_works_once(ada: User, secret: str, clock: list[int]) -> None:
    typed = code(secret, clock[0])

    assert [second.fits(ada, typed) for _ in range(2)] == [True, False]


def test_the_code_that_turned_it_on_is_used_up(ada: User) -> None:
    secret = second.new_secret()
    second.turn_on(ada, secret, code(secret))

    assert not second.fits(ada, code(secret))


def test_a_clock_half_a_minute_off_fits_and_a_minute_does_not(
    ada: User, secret: str, clock: list[int]
) -> None:
    fits = [second.fits(ada, code(secret, clock[0] + s)) for s in (-60, -30, 30, 60)]

    assert fits == [False, True, True, False]


def test_a_code_before_the_last_one_is_worth_nothing(
    ada: User, secret: str, clock: list[int]
) -> None:
    assert second.fits(ada, code(secret, clock[0]))

    assert not second.fits(ada, code(secret, clock[0] - 30))


@pytest.mark.parametrize("wrong", ["", " ", "12345", "abcdef", "١٢٣٤٥٦", "1" * 500])
def test_what_is_no_code_does_not_fit(ada: User, secret: str, wrong: str) -> None:
    assert not second.fits(ada, wrong)


def test_a_recovery_code_works_once_however_it_is_typed(ada: User) -> None:
    codes = second.new_recovery_codes(ada)
    typed = f" {codes[3][:5]}-{codes[3][5:]} "

    assert [second.fits(ada, typed) for _ in range(2)] == [True, False]
    assert second.recovery_codes_left(ada) == 9


def test_new_recovery_codes_replace_the_old_ones(ada: User) -> None:
    old = second.new_recovery_codes(ada)

    second.new_recovery_codes(ada)

    assert not second.fits(ada, old[0])


def test_somebody_else_s_code_does_not_fit(ada: User, secret: str) -> None:
    grace = User.objects.create_user("grace")

    assert not second.fits(grace, code(secret, NOON_S + 90))
    assert second.fits(ada, code(secret, NOON_S + 90))


def test_the_database_holds_neither_key_nor_codes(ada: User) -> None:
    secret = second.new_secret()
    codes = second.turn_on(ada, secret, code(secret)) or []

    kept = str(list(Authenticator.objects.values()))

    assert not [one for one in (secret, *codes) if one in kept]


def test_another_secret_key_opens_nothing(ada: User, settings: object) -> None:
    sealed = sealing.seal("the key")
    assert sealing.unseal(sealed) == "the key"

    settings.SECRET_KEY = "another"  # type: ignore[attr-defined]

    with pytest.raises(sealing.Sealed):
        sealing.unseal(sealed)


def test_a_secret_key_that_was_replaced_still_opens(settings: object) -> None:
    settings.SECRET_KEY = "old"  # type: ignore[attr-defined]
    sealed = sealing.seal("the key")

    settings.SECRET_KEY = "new"  # type: ignore[attr-defined]
    settings.SECRET_KEY_FALLBACKS = ["old"]  # type: ignore[attr-defined]

    assert sealing.unseal(sealed) == "the key"
