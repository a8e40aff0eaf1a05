"""What every test has: coroutines run, one connection, a clean end."""

from __future__ import annotations

import asyncio
import inspect
import secrets
from collections.abc import Iterator

import pytest
from asgiref.sync import async_to_sync
from playwright.sync_api import Browser, expect, sync_playwright
from pytest_django import DjangoDbBlocker

from hub.testing.patience import PATIENCE_S
from hub.testing.services import chromium_path

# Playwright's own five seconds are little for a page on a busy machine.
expect.set_options(timeout=PATIENCE_S * 1000)

HASHER = "django.contrib.auth.hashers.Argon2PasswordHasher"


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run `async def` tests.

    Through asgiref, and not through an event loop of the test's own, so that the
    ORM stays in the test's thread: on the connection whose transaction is rolled
    back.
    """
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in wanted}
    async_to_sync(pyfuncitem.obj)(**arguments)
    return True


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Name the guilty at once: Django refuses its ORM beside a running loop."""
    if item.get_closest_marker("browser"):
        return
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    pytest.fail(
        "An event loop of an earlier test still runs in this thread: a Playwright "
        "must end with its module, not with the session."
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium; it ends with the module, see pytest_runtest_setup."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=chromium_path())
        yield chromium
        chromium.close()


@pytest.fixture(autouse=True)
def _connection_of_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    # Channels closes connections around each message; within a test that is the
    # connection which holds the test's transaction.
    monkeypatch.setattr("channels.db.close_old_connections", lambda: None)


@pytest.fixture(autouse=True)
def _no_tries_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count tries to sign in or to enrol anew: all tests come from one address."""
    monkeypatch.setattr("hub.people.throttle.prefix", f"test:{secrets.token_hex(8)}:")


@pytest.fixture(autouse=True)
def _quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    # The same hasher with less work: what makes it strong makes tests slow.
    for name, cost in {"time_cost": 1, "memory_cost": 64, "parallelism": 1}.items():
        monkeypatch.setattr(f"{HASHER}.{name}", cost)


@pytest.fixture(scope="session")
def django_db_setup(
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[None]:
    """Drop the test database even when a thread still holds a connection to it."""
    from hub.testing import flush

    flush.install()
    yield
    from django.db import connection

    if connection.vendor != "postgresql":
        return
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        )
