"""A hub and an agent live for a while; what they were told in confidence stays there.

Real processes: their logs, their tables, and what every process that they start is
given as environment and arguments.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hub.testing.hubs import BIN, BOUND, ROOT, Embedded, embedded, environment
from hub.testing.processes import running

pytestmark = pytest.mark.process

WITHIN_S = 60
CANARY = secrets.token_hex(8)
# What an operator puts into the hub's environment.
SETTINGS = {
    "SECRET_KEY": f"{CANARY}-secret-key-{secrets.token_hex(30)}",
    "NOTIFY_KEY": f"{CANARY}-notify-key",
    "SMTP_URL": f"smtp://ada:{CANARY}-mail@127.0.0.1:9",
    "OIDC_ISSUER": "https://accounts.example",
    "OIDC_CLIENT_ID": "sysmonstm",
    "OIDC_CLIENT_SECRET": f"{CANARY}-oidc",
    "COLLECTOR_MACHINE_ID": "the-hubs-own",
    "LOG_LEVEL": "DEBUG",
}

TELL = f"""
from hub.alerts.models import Contact
from django.contrib.auth.models import User
ada = User.objects.create_user("ada", password="{CANARY}-password")
ada.email = "ada@example.org"
ada.save()
for kind, reach in (
    ("webhook", "https://hooks.example/{CANARY}-path"),
    ("service", "tgram://{CANARY}-bot/12345"),
):
    contact = Contact(name=kind, kind=kind)
    contact.reach(reach)
    contact.save()
"""


def manage(folder: Path, *words: str) -> str:
    done = subprocess.run(
        (sys.executable, ROOT / "manage.py", *words),
        env=environment(DATA_DIR=str(folder), **SETTINGS),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def sign_in(hub: Embedded) -> None:
    jar = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    link = urllib.request.Request(hub.link, headers={"Sec-Fetch-Site": "none"})
    assert b"Machines" in jar.open(link, timeout=60).read()


def read(hub: Embedded, secret: str) -> None:
    request = urllib.request.Request(
        f"{hub.web}/api/machines?token={secret}",
        headers={"Authorization": f"Bearer {secret}"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert "web-1" in {one["id"] for one in json.load(answer)["machines"]}


def tables(folder: Path) -> str:
    """Return every row of every table, as text."""
    found: list[str] = []
    file = f"file:{folder / 'sysmonstm.sqlite3'}?mode=ro"
    with closing(sqlite3.connect(file, uri=True)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type='table'")
        for (table,) in names.fetchall():
            found += map(repr, connection.execute(f'SELECT * FROM "{table}"'))
    return "\n".join(found)


def given(pid: int) -> str:
    """Return what anybody of the same machine may see by `ps`, and its environment."""
    folder = Path(f"/proc/{pid}")
    said = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
    return said.decode(errors="replace")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "hub"


@pytest.fixture
def hub(folder: Path) -> Iterator[Embedded]:
    with embedded(folder, **SETTINGS) as started:
        yield started


def test_what_was_told_in_confidence_is_found_nowhere(
    hub: Embedded, folder: Path, tmp_path: Path
) -> None:
    manage(folder, "shell", "-c", TELL)
    enrolling = manage(folder, "enroltoken", "create", "--uses", "2")
    program = manage(folder, "apitoken", "create", "canary", "--user", "ada")
    sign_in(hub)
    state = tmp_path / "state"
    env = environment(COLLECTOR_STATE_DIR=str(state), LOG_LEVEL="DEBUG")
    told = subprocess.run(
        (BIN / "sysmonstm-agent", "enrol", hub.web, "--machine-id", "web-1"),
        env=env | {"COLLECTOR_ENROL_TOKEN": enrolling},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    own = json.loads((state / "credential.json").read_text())["secret"]
    log = tmp_path / "agent.log"
    with running(*BOUND, BIN / "sysmonstm-agent", log=log, env=env) as agent:
        agent.wait_for_line("connected", within_s=WITHIN_S)
        read(hub, program)
        children = [pid for pid in hub.process.family() if pid != hub.process.pid]
        started = "\n".join(map(given, [*children, agent.pid]))

    link = hub.link.rpartition("/")[2]
    canaries = [CANARY, enrolling, program, own]
    assert all(len(one) >= 16 for one in canaries)
    said = hub.process.output() + log.read_text() + told.stdout + told.stderr
    # The link is printed once, for whoever started the hub; it worked, and is used up.
    assert said.count(link) == 1
    assert "COLLECTOR_MACHINE_ID" in started
    kept = tables(folder)
    assert "the-hubs-own" in kept
    assert [one for one in canaries if one in said] == []
    assert [one for one in [*canaries, link] if one in kept] == []
    assert [one for one in [*canaries, link] if one in started] == []
