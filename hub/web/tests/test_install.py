"""What a new machine fetches: nothing secret, nothing unchecked, nothing else."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from hub.people import throttle
from hub.web.install import stock, views

ROOT = Path(__file__).parents[3]

Ignored = Callable[[str, list[str]], set[str]]

FILES = (
    "hub.json",
    "agent.sh",
    "uninstall.sh",
    "sysmonstm-agent.service",
    "requirements.txt",
    "Dockerfile",
    "wheels/",
)


@pytest.fixture(autouse=True)
def _nobody_has_asked() -> None:
    throttle.forget()


@pytest.fixture
def stranger() -> Client:
    return Client()


def fetch(client: Client, name: str, **more: Any) -> bytes:
    answer = client.get(f"/install/{name}", **more)
    assert answer.status_code == 200, name
    return b"".join(answer)


def test_a_machine_needs_no_sign_in_and_no_database(stranger: Client) -> None:
    # No database fixture: a query here would fail the test.
    for name in FILES:
        assert fetch(stranger, name), name


@pytest.mark.parametrize("name", ["agent.sh", "uninstall.sh"])
def test_the_scripts_are_understood_by_the_plainest_shell(
    name: str, stranger: Client, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(fetch(stranger, name))

    subprocess.run(["sh", "-n", path], check=True, timeout=60)
    # `sh` may be a richer shell here than there.
    bashisms = r"\[\[|^\s*local |^\s*function |\bsource |\$'|<<<|\becho -e|&>|=~"
    template = (ROOT / "templates" / "install" / name).read_text()
    assert re.findall(bashisms, template, re.MULTILINE) == []
    assert not re.search("^@[A-Z]+@$", path.read_text(), re.MULTILINE)


OLD = "#!/bin/sh\n[ $1 = --version ] && echo Python 3.9.2 && exit 0\nexit 1\n"
BARE = "#!/bin/sh\ncase $2 in *ensurepip*) exit 1 ;; esac\nexit 0\n"
HUB = ("--hub", "http://127.0.0.1:9", "--token", "sme_x")


@pytest.mark.process
@pytest.mark.parametrize(
    ("arguments", "python", "sentence"),
    [
        ((), "", "Say where the hub is: --hub"),
        (("--hub",), "", "--hub needs a value."),
        ((*HUB, "--force"), "", "I do not know --force."),
        (HUB[:2], "", "no --token was given"),
        (HUB, OLD, "needs Python 3.11 or newer, and this machine has Python 3.9.2"),
        (HUB, BARE, "Install its venv module"),
        (HUB, "", "http://127.0.0.1:9 does not answer from here"),
    ],
)
def test_what_is_in_the_way_on_the_machine_is_one_sentence(
    arguments: tuple[str, ...],
    python: str,
    sentence: str,
    stranger: Client,
    tmp_path: Path,
) -> None:
    script = tmp_path / "agent.sh"
    script.write_bytes(fetch(stranger, "agent.sh"))
    if python:
        fake = tmp_path / "python"
        fake.write_text(python)
        fake.chmod(0o755)
        arguments = (*arguments, "--python", str(fake))
    home = tmp_path / "home"
    home.mkdir()

    done = subprocess.run(
        ["sh", script, "--home", *arguments],
        env={"HOME": str(home), "PATH": f"{sys.base_prefix}/bin:/usr/bin:/bin"},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert done.returncode == 1
    [said] = done.stderr.splitlines()
    assert said.startswith("sysmonstm: ")
    assert sentence in said
    # Nothing is half installed.
    assert list(home.iterdir()) == []


def test_all_that_the_script_installs_is_pinned_in_it(stranger: Client) -> None:
    script = fetch(stranger, "agent.sh").decode()

    for wheel in stock.ours():
        served = fetch(stranger, f"wheels/{wheel.filename}")
        assert hashlib.sha256(served).hexdigest() in script
    required = re.findall(r"^[\w-]+==\S+ \\$", script, re.MULTILINE)
    assert len(required) == 2 + 4
    assert "--require-hashes" in script
    assert fetch(stranger, "sysmonstm-agent.service").decode() in script
    assert fetch(stranger, "uninstall.sh").decode() in script


def test_the_script_is_the_same_under_every_address(
    stranger: Client, settings: Settings
) -> None:
    settings.ALLOWED_HOSTS = ["one.example", "two.example"]

    one, two = (
        fetch(stranger, "agent.sh", HTTP_HOST=host) for host in settings.ALLOWED_HOSTS
    )

    assert one == two


def test_pip_finds_each_wheel_with_its_hash(stranger: Client) -> None:
    page = fetch(stranger, "wheels/").decode()

    links = re.findall(r'<a href="([^"#]+)#sha256=(\w{64})">', page)
    assert {name for name, _ in links} >= {one.filename for one in stock.ours()}
    for name, digest in links:
        assert hashlib.sha256(fetch(stranger, f"wheels/{name}")).hexdigest() == digest


@pytest.mark.parametrize(
    "name",
    [
        "..%2f..%2fmanage.py",
        "../secret_key",
        "..%2Fsecret_key",
        "secret_key",
        "%2e%2e%2fsecret_key",
        "x.whl",
        "..\\secret_key",
        "%00.whl",
        "x" * 5000,
    ],
)
def test_no_other_file_comes_out(
    name: str, stranger: Client, client: Client, settings: Settings, tmp_path: Path
) -> None:
    settings.DATA_DIR = tmp_path
    (tmp_path / "bundle").mkdir()
    (tmp_path / "secret_key").write_text("do not tell")

    # Some lead to addresses that are not there, where a stranger is asked who it is.
    for asker, statuses in ((stranger, {404, 302}), (client, {404})):
        answer = asker.get(f"/install/wheels/{name}")

        assert answer.status_code in statuses
        assert b"do not tell" not in answer.content


def test_a_link_in_the_bundle_leads_nowhere(
    stranger: Client, settings: Settings, tmp_path: Path
) -> None:
    settings.DATA_DIR = tmp_path
    (tmp_path / "bundle").mkdir()
    (tmp_path / "secret_key").write_text("do not tell")
    os.symlink(tmp_path / "secret_key", tmp_path / "bundle" / "a-1-py3-none-any.whl")

    assert stock.bundle() == []
    assert stranger.get("/install/wheels/a-1-py3-none-any.whl").status_code == 404


def test_the_hub_says_where_agents_call(stranger: Client, settings: Settings) -> None:
    settings.GRPC_PORT = 50055
    assert stranger.get("/install/hub.json", HTTP_HOST="127.0.0.1:8000").json()[
        "grpc"
    ] == ("127.0.0.1:50055")
    assert stranger.get("/install/hub.json", HTTP_HOST="[::1]:8000").json()["grpc"] == (
        "[::1]:50055"
    )

    settings.PUBLIC_URLS = ["https://monitor.example.org"]
    said = stranger.get("/install/hub.json", HTTP_HOST="127.0.0.1:8000").json()
    assert said["grpc"] == "monitor.example.org:50055"
    clock_unix_ms = said.pop("clock_unix_ms")
    assert abs(time.time() - clock_unix_ms / 1000) < 60
    assert said.keys() == {"grpc", "enrol", "tls", "ca", "name", "version"}
    assert said["enrol"] == ""
    # Where they need a certificate to call, they are given it elsewhere.
    settings.GRPC_MTLS, settings.GRPC_ENROL_PORT = "required", 50056
    said = stranger.get("/install/hub.json").json()
    assert said["enrol"] == "monitor.example.org:50056"

    settings.GRPC_PUBLIC_ADDRESS = "vpn.example.org:443"
    assert stranger.get("/install/hub.json").json()["grpc"] == "vpn.example.org:443"


def test_a_forged_host_gets_nothing(stranger: Client) -> None:
    for name in FILES:
        answer = stranger.get(f"/install/{name}", HTTP_HOST="evil.example")
        assert answer.status_code == 400
        assert b"evil.example" not in answer.content
    forwarded = fetch(stranger, "Dockerfile", HTTP_X_FORWARDED_HOST="evil.example")
    assert b"evil.example" not in forwarded


def test_nothing_is_changed_from_outside(stranger: Client) -> None:
    for name in FILES:
        assert stranger.post(f"/install/{name}").status_code == 405


def test_a_flood_from_one_address_is_stopped(
    stranger: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "REQUESTS", 3)
    for _ in range(3):
        fetch(stranger, "hub.json")

    answer = stranger.get("/install/agent.sh")

    assert answer.status_code == 429
    assert answer["Retry-After"] == "60"
    assert stranger.get("/install/hub.json", REMOTE_ADDR="192.0.2.7").status_code == 200


def test_an_image_has_all_that_machines_are_given(
    stranger: Client, settings: Settings, tmp_path: Path
) -> None:
    stock.forget()
    before = fetch(stranger, "agent.sh")
    dockerfile = (ROOT / "deploy" / "hub.Dockerfile").read_text()
    _, _, stage = dockerfile.partition("AS hub\n")
    ignored = shutil.ignore_patterns("tests", "testing", "__pycache__")
    for line in re.findall(r"^COPY (?!--)(.+)$", stage, re.MULTILINE):
        *sources, to = line.split()
        for source in sources:
            _copy(ROOT / source, tmp_path / to, ignored)
    settings.BASE_DIR = tmp_path
    stock.forget()

    try:
        assert fetch(stranger, "agent.sh") == before
        assert fetch(stranger, "Dockerfile")
    finally:
        stock.forget()


def _copy(source: Path, to: Path, ignored: Ignored) -> None:
    if source.is_dir():
        shutil.copytree(source, to, ignore=ignored, dirs_exist_ok=True)
    else:
        to.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, to / source.name)
