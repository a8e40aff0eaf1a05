"""One agent's identity from beginning to end: real processes, real mutual TLS."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hub.testing.hubs import BIN, BOUND, ROOT, Embedded, embedded, environment
from hub.testing.processes import Process, running

pytestmark = [pytest.mark.process, pytest.mark.lasts]

SETTINGS = {
    "GRPC_TLS": "on",
    "GRPC_MTLS": "required",
    "COLLECTOR_MACHINE_ID": "the-hubs-own",
}
AGENT = BIN / "sysmonstm-agent"
# The hub promises to cut off whoever is revoked within 5 s; a busy machine gets more.
WITHIN_S = 60


@dataclass(slots=True)
class Machine:
    """A machine with an agent, as its own folder and its commands show it."""

    folder: Path
    data: Path

    @property
    def env(self) -> dict[str, str]:
        return environment(
            COLLECTOR_STATE_DIR=str(self.folder / "state"),
            COLLECTOR_COLLECTION_INTERVAL="1",
            LOG_FORMAT="json",
        )

    @property
    def kept(self) -> dict[str, Any]:
        text = (self.folder / "state" / "credential.json").read_text()
        return dict(json.loads(text))

    def keep(self, **changed: object) -> None:
        place = self.folder / "state" / "credential.json"
        place.write_text(json.dumps(self.kept | changed))

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            (AGENT, *words),
            env=self.env,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def enrol(self, hub: Embedded, *token_for: str) -> None:
        token, fingerprint = self.token(*token_for)
        words = ("enrol", hub.web, "--token", token, "--machine-id", "web-1")
        ended = self.call(*words, "--fingerprint", fingerprint)
        assert ended.returncode == 0, ended.stderr
        assert "as web-1." in ended.stdout

    def token(self, *words: str) -> tuple[str, str]:
        """Make a token as the hub's owner would; return it, and the fingerprint."""
        made = self.manage("enroltoken", "create", *words)
        return made.stdout.strip(), made.stderr.strip().rstrip(".").rpartition(" ")[2]

    def manage(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            (sys.executable, ROOT / "manage.py", *words),
            env=environment(DATA_DIR=str(self.data), **SETTINGS),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )

    @contextmanager
    def running(self) -> Iterator[Process]:
        log = self.folder / f"agent-{time.monotonic_ns()}.log"
        with running(*BOUND, AGENT, log=log, env=self.env) as process:
            yield process

    def is_let_in(self, process: Process) -> None:
        process.wait_for_line('"event": "hub.connected"', within_s=WITHIN_S)

    def findings(self) -> dict[str, str]:
        found = json.loads(self.call("doctor", "--json").stdout)
        return {finding["what"]: finding["level"] for finding in found}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    (tmp_path / "machine").mkdir()
    return Machine(tmp_path / "machine", tmp_path / "var")


def until(done: Callable[[], object], within_s: float = WITHIN_S) -> None:
    deadline = time.monotonic() + within_s
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_enrolled_rotated_killed_in_between_revoked_and_enrolled_again(
    machine: Machine,
) -> None:
    with embedded(machine.data, **SETTINGS) as hub:
        machine.enrol(hub)
        first = machine.kept
        with machine.running() as process:
            machine.is_let_in(process)
            assert set(machine.findings().values()) == {"ok"}
        rotates_however_often_it_is_killed(machine)
        assert machine.kept["secret"] != first["secret"]
        assert machine.kept["certificate"] != first["certificate"]
        the_secret_alone_opens_nothing(machine)
        an_expired_certificate_opens_nothing(machine)
        a_copy_is_refused(machine)
        a_hub_whose_certificate_has_expired_is_told_nothing(machine)
        is_revoked(machine)
        # It makes itself a new one before it shows an expired one to anybody.
        shown = machine.data / "tls" / "server.pem"
        old = expired(shown.read_text(), machine.data / "tls")
        shown.write_text(old)
        # The token of the machine's own page brings the same machine back.
        machine.enrol(hub, "--machine", "web-1")
        with machine.running() as process:
            machine.is_let_in(process)
        assert shown.read_text() != old


def the_secret_alone_opens_nothing(machine: Machine) -> None:
    kept = machine.kept
    machine.keep(certificate="", request="")
    assert machine.findings()["hub"] == "FAIL"
    machine.keep(**kept)


def an_expired_certificate_opens_nothing(machine: Machine) -> None:
    kept = machine.kept
    machine.keep(certificate=expired(kept["certificate"], machine.data / "tls"))
    assert machine.findings()["hub"] == "FAIL"
    with machine.running() as process:
        process.wait_for_line('"event": "hub.away"', within_s=WITHIN_S)
        assert '"event": "hub.connected"' not in process.output()
    machine.keep(**kept)


def a_hub_whose_certificate_has_expired_is_told_nothing(machine: Machine) -> None:
    """The agent meets the very certificate of its hub, and only its time is over."""
    kept, tls = machine.kept, machine.data / "tls"
    key, own = (tls / "server.key").read_bytes(), (tls / "server.pem").read_text()
    for pem, said in (
        (expired(own, tls), "certificate has expired"),
        # Else it might be for another reason.
        (own, "UNIMPLEMENTED"),
    ):
        heard = Heard()
        shown = grpc.ssl_server_credentials([(key, pem.encode())])
        server = grpc.server(ThreadPoolExecutor(1), [heard])
        machine.keep(hub=f"127.0.0.1:{server.add_secure_port('127.0.0.1:0', shown)}")
        server.start()
        try:
            with machine.running() as process:
                away = rf'"event": "hub.away".*{said}'
                process.wait_for_line(away, within_s=WITHIN_S)
        finally:
            server.stop(None).wait()
        assert (kept["secret"] in str(heard.said)) is (pem == own)
    machine.keep(**kept)


class Heard(grpc.GenericRpcHandler):
    """What is said to a server that serves nothing."""

    def __init__(self) -> None:
        self.said: list[object] = []

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> None:
        self.said.append(handler_call_details.invocation_metadata)


def expired(certificate: str, authority: Path) -> str:
    """Return the same certificate by the same authority, but of yesterday."""
    old = x509.load_pem_x509_certificate(certificate.encode())
    key = serialization.load_pem_private_key((authority / "ca.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    yesterday = datetime.now(UTC) - timedelta(days=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(old.subject)
        .issuer_name(old.issuer)
        .public_key(old.public_key())
        .serial_number(old.serial_number)
        .not_valid_before(yesterday - timedelta(days=1))
        .not_valid_after(yesterday)
    )
    for one in old.extensions:
        builder = builder.add_extension(one.value, one.critical)
    made = builder.sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


def rotates_however_often_it_is_killed(machine: Machine) -> None:
    before = machine.kept["secret"]
    for _ in range(2):
        # Long due; killed as soon as the next secret is kept, or a little later.
        machine.keep(made=1.0)
        with machine.running() as process:
            until(lambda: machine.kept["next"] or machine.kept["secret"] != before)
            process.stop(by=signal.SIGKILL)
    interrupted = machine.kept
    with machine.running() as process:
        machine.is_let_in(process)
        until(lambda: machine.kept["next"] == "")
    # Killed when the hub had taken the new one, and the disk did not know it yet.
    taken = machine.kept["secret"]
    machine.keep(secret=before, next=taken)
    with machine.running() as process:
        machine.is_let_in(process)
        until(lambda: machine.kept["secret"] == taken)
    assert taken in (interrupted["secret"], interrupted["next"])


def a_copy_is_refused(machine: Machine) -> None:
    """Two agents take turns with one credential: the one seen first goes on."""
    copy = Machine(machine.folder.with_name("copy"), machine.data)
    (copy.folder / "state").mkdir(parents=True, mode=0o700)
    kept = "state/credential.json"
    shutil.copy2(machine.folder / kept, copy.folder / kept)
    with machine.running() as first:
        machine.is_let_in(first)
        with copy.running() as second:
            said = second.wait_for_line(
                r'"event": "hub.away".*PERMISSION_DENIED.*', within_s=WITHIN_S
            )
            assert "a copy of a machine must be enrolled by itself" in said[0]
            assert "web-1  cloned" in machine.manage("agents", "list").stdout
        until(lambda: '"event": "hub.connected"' in first.output().splitlines()[-1])


def is_revoked(machine: Machine) -> None:
    with machine.running() as process:
        machine.is_let_in(process)

        machine.manage("agents", "revoke", "web-1")

        line = process.wait_for_line(
            r'"event": "hub.away".*UNAUTHENTICATED.*', within_s=WITHIN_S
        )
        said = line[0]
        assert "Make a new enrolment command on the machine's page" in said
        assert float(said.partition('"retry_in_s": ')[2].split(",")[0]) >= 60
    ended = machine.call("doctor")
    assert ended.returncode == 1
    assert "FAIL  welcome" in ended.stdout
