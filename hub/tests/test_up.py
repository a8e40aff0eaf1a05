"""`manage.py up` from outside: what it refuses, how it ends."""

from __future__ import annotations

import http.cookiejar
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.sync.client import connect
from websockets.typing import Origin

from hub.testing.hubs import (
    END_S,
    READY_S,
    ROOT,
    Embedded,
    embedded,
    environment,
    event,
    first_start,
)
from hub.testing.processes import running

pytestmark = [pytest.mark.process, pytest.mark.lasts]

UP = (sys.executable, ROOT / "manage.py", "up")


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Embedded]:
    with embedded(tmp_path / "var") as running_hub:
        yield running_hub


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """One for the tests after which it goes on."""
    folder = tmp_path_factory.mktemp("lasting") / "var"
    with embedded(folder, PYTHONWARNINGS="default") as running_hub:
        yield running_hub


def refused(tmp_path: Path, **settings: str) -> str:
    """Run `up`, which must refuse; return the one sentence it says."""
    env = environment(DATA_DIR=str(tmp_path), HTTP_PORT="0", GRPC_PORT="0")
    done = subprocess.run(
        UP,
        env=env | settings,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=READY_S,
    )

    assert done.returncode not in {0, None}
    assert done.stdout == ""
    [sentence] = done.stderr.splitlines()
    return sentence


def agent_of(hub: Embedded) -> int:
    return int(event(hub.process, "embedded_agent.started")["pid"])


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "gone"


def becomes(pid: int, *states: str, within_s: float = END_S) -> bool:
    deadline = time.monotonic() + within_s
    while (now := state(pid)) not in states and time.monotonic() < deadline:
        time.sleep(0.02)
    return now in states


def gone(pid: int, *, within_s: float = END_S) -> bool:
    return becomes(pid, "gone", "Z", within_s=within_s)


def freeze(pid: int) -> None:
    """Make a process hang. It takes a moment: until then a signal still ends it."""
    os.kill(pid, signal.SIGSTOP)
    assert becomes(pid, "T")


def test_make_up_runs_it_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    env = environment(DATA_DIR=str(tmp_path), HTTP_PORT="0", GRPC_PORT="0")

    with running("make", "up", log=tmp_path / "make.log", env=env, cwd=ROOT) as process:
        process.wait_for_line(r"^Sign in: http://127\.0\.0\.1:\d+/", within_s=READY_S)
        # A terminal sends it to the whole group in front: make and the hub.
        os.killpg(process.pid, signal.SIGINT)
        process.stop(by=0, within_s=END_S)

        assert process.family() == []


@pytest.mark.parametrize("name", ["HTTP_PORT", "GRPC_PORT"])
def test_a_port_in_use_is_one_sentence(name: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        number = busy.getsockname()[1]

        sentence = refused(tmp_path, **{name: str(number)})

    assert sentence.startswith(
        f"sysmonstm: {name}: port {number} on 127.0.0.1 is in use"
    )


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    sentence = refused(tmp_path, DATA_DIR=str(tmp_path / "file" / "var"))

    assert sentence.startswith("sysmonstm: DATA_DIR: cannot write to")


def test_static_files_are_served_without_a_warning(lasting: Embedded) -> None:
    address = f"{lasting.web}/static/js/live.js"
    with urllib.request.urlopen(address, timeout=60) as got:
        content, kind = got.read(), got.headers["Content-Type"]
    output = lasting.process.output()

    assert content == (ROOT / "static/js/live.js").read_bytes()
    assert kind.startswith("text/javascript")
    assert "Warning" not in output


def test_a_second_hub_on_the_same_folder_is_one_sentence(
    lasting: Embedded, tmp_path: Path
) -> None:
    sentence = refused(tmp_path, DATA_DIR=str(lasting.process.log.parent))

    assert "DATA_DIR: a hub already runs" in sentence
    assert str(lasting.process.pid) in sentence
    assert lasting.process.returncode is None


def test_an_agent_that_dies_comes_back(lasting: Embedded) -> None:
    first = agent_of(lasting)

    os.kill(first, signal.SIGKILL)

    lasting.process.wait_until(
        lambda: agent_of(lasting) != first, "start another agent", within_s=READY_S
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_everything(number: int, hub: Embedded) -> None:
    agent = agent_of(hub)

    assert hub.process.stop(within_s=END_S, by=number) == 0

    assert gone(agent)
    assert hub.process.family() == []
    assert "Traceback" not in hub.process.output()


def test_an_agent_that_hangs_does_not_hold_the_end_up(hub: Embedded) -> None:
    agent = agent_of(hub)
    freeze(agent)

    assert hub.process.stop(within_s=END_S) == 0

    assert gone(agent)


def test_a_second_signal_ends_it_at_once(hub: Embedded) -> None:
    freeze(agent_of(hub))  # which makes the first one slow

    hub.process.send(signal.SIGTERM)
    hub.process.wait_for_line(r"grpc\.stopping", within_s=READY_S)
    code = hub.process.stop(within_s=END_S, by=signal.SIGTERM)

    assert code == 128 + signal.SIGTERM


def test_no_agent_outlives_a_hub_that_was_killed(hub: Embedded) -> None:
    agent = agent_of(hub)

    hub.process.stop(by=signal.SIGKILL)

    assert gone(agent)


def test_open_to_other_machines_it_speaks_tls_and_still_hears_its_own(
    tmp_path: Path,
) -> None:
    beyond = {"GRPC_HOST": "0.0.0.0", "ALLOW_SQLITE": "true"}
    with embedded(tmp_path / "var", **beyond) as hub:
        for machine in (os.uname().nodename, "_canary"):
            opened = rf'"machine": "{re.escape(machine)}".*"event": "stream.opened"'
            hub.process.wait_for_line(opened, within_s=READY_S)
        listening = event(hub.process, "grpc.listening")
        _, _, port = hub.grpc.rpartition(":")
        trusted = ssl.create_default_context(
            cafile=str(tmp_path / "var" / "tls" / "ca.pem")
        )
        trusted.set_alpn_protocols(["h2"])
        with (
            socket.create_connection(("127.0.0.1", int(port)), 60) as line,
            trusted.wrap_socket(line, server_hostname="sysmonstm-hub") as spoken,
        ):
            protocol = spoken.selected_alpn_protocol()

    assert listening["tls"] is True
    assert protocol == "h2"


def test_the_second_start_is_quick_and_has_a_link_of_its_own(tmp_path: Path) -> None:
    with first_start(tmp_path / "var") as first:
        assert "Preparing the database" in first.process.output()
        first.process.stop(within_s=END_S)
    (tmp_path / "var" / "up.log").unlink()

    with embedded(tmp_path / "var") as second:
        output = second.process.output()

    assert "Preparing the database" not in output
    assert output.count("Sign in: ") == 1
    assert second.link.rpartition("/")[2] != first.link.rpartition("/")[2]


def test_a_browser_is_told_that_the_hub_leaves(hub: Embedded) -> None:
    cookies = http.cookiejar.CookieJar()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(cookies))
    # As a browser says of a link that was clicked in a terminal.
    opener.addheaders.append(("Sec-Fetch-Site", "none"))
    opener.open(hub.link, timeout=60).close()
    cookie = "; ".join(f"{cookie.name}={cookie.value}" for cookie in cookies)
    address = f"{hub.web.replace('http', 'ws')}/ws?view=summary"

    with connect(
        address, origin=Origin(hub.web), additional_headers={"Cookie": cookie}
    ) as socket:
        assert socket.recv(timeout=60)
        hub.process.send(signal.SIGTERM)
        # Iterating ends silently on a clean close, and raises on any other.
        for _ in socket:
            pass

    assert socket.close_code == 1001


def test_it_is_quiet_and_its_output_is_the_link_alone(tmp_path: Path) -> None:
    env = environment(DATA_DIR=str(tmp_path), HTTP_PORT="0", GRPC_PORT="0")
    errors, log = tmp_path / "errors", tmp_path / "output"

    command = f'exec "$0" "$@" 2>{errors}'
    with running(
        *("sh", "-c", command, *UP), log=log, env=env, cwd=tmp_path
    ) as process:
        process.wait_for_line("Sign in: ", within_s=READY_S)
        process.stop(within_s=END_S)

    assert len(log.read_text().splitlines()) == 1
    assert errors.read_text().splitlines() == ["Preparing the database …"]
