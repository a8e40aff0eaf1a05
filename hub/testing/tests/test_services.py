"""The private servers are real, alone, and gone afterwards."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
import redis as client

from hub.testing import services
from hub.testing.install import SERVICES
from hub.testing.patience import PATIENCE_S, wait_until
from hub.testing.processes import NotReady, running

pytestmark = pytest.mark.process

HOLDER = """
import sys, time
from hub.testing.services import postgres, redis
with postgres() as database, redis() as broker:
    print(database, broker, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def database() -> Iterator[str]:
    with services.postgres() as url:
        yield url


def answers(database: str, broker: str) -> list[bool]:
    found = []
    for ask, away in (
        (lambda: psycopg.connect(database).close(), psycopg.OperationalError),
        (lambda: client.Redis.from_url(broker).ping(), client.ConnectionError),
    ):
        try:
            ask()
            found.append(True)
        except away:
            found.append(False)
    return found


def test_postgresql_has_the_apache_edition_of_timescaledb(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("CREATE EXTENSION timescaledb")
        connection.execute("CREATE TABLE t (time timestamptz NOT NULL)")
        connection.execute("SELECT create_hypertable('t', 'time')")
        licence = connection.execute("SHOW timescaledb.license").fetchone()

    assert licence == ("apache",)


def test_a_database_needs_its_password(database: str) -> None:
    guess = database.replace(database.split(":")[2].split("@")[0], "guess")

    with pytest.raises(psycopg.OperationalError, match="password authentication"):
        psycopg.connect(guess)


def test_durable_keeps_fsync_on() -> None:
    with services.postgres(durable=True) as url, psycopg.connect(url) as connection:
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)


def test_servers_end_with_the_block() -> None:
    with ExitStack() as stack:
        database = stack.enter_context(services.postgres())
        broker = stack.enter_context(services.redis())
        assert answers(database, broker) == [True, True]

    assert answers(database, broker) == [False, False]


def test_servers_end_when_their_starter_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "holder.log"
    with running(sys.executable, "-c", HOLDER, log=log, cwd=Path.cwd()) as holder:
        found = holder.wait_for_line(
            r"(postgresql:\S+) (redis:\S+)", within_s=PATIENCE_S
        )
        database, broker = found.groups()
        assert answers(database, broker) == [True, True]

        os.kill(holder.pid, signal.SIGKILL)

        with pytest.raises(NotReady, match="ended with -9"):
            holder.wait_until(lambda: False, "end", within_s=PATIENCE_S)
        wait_until(lambda: answers(database, broker) == [False, False])


def test_root_runs_programs_that_only_root_can_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a checkout below /root: the server's own user cannot go there."""
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    (hidden / "services").symlink_to(SERVICES)
    monkeypatch.setattr(services, "SERVICES", hidden / "services")

    with services.postgres() as url, psycopg.connect(url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_missing_service_is_said_and_not_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "SERVICES", tmp_path)

    with pytest.raises(services.Missing, match="make services"), services.redis():
        pass


def test_chromium_starts_and_draws() -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=services.chromium_path())
        page = browser.new_page()
        page.set_content("<p>21 °C</p>")

        assert page.inner_text("p") == "21 °C"
        browser.close()
