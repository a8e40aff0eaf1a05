"""Whom an agent believes, and whom the hub believes: real handshakes."""

from __future__ import annotations

import asyncio
import os
import ssl
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from asgiref.sync import sync_to_async
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID
from django.utils import timezone
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pytest_django import Settings
from sysmonstm_proto import metrics_pb2 as pb
from sysmonstm_proto.metrics_pb2_grpc import EnrolmentServiceStub

from hub.health.agent_line import Caller as ProberLine
from hub.ingest.tests import wire
from hub.machines import authority, certificates, credentials, enrolment, inside
from hub.machines.certificates import Authority
from hub.machines.models import Machine
from hub.rpc import tls
from hub.rpc.authenticate import NO_CERTIFICATE
from hub.rpc.server import GrpcServer
from hub.rpc.tests.agent import agent as plain_agent
from hub.rpc.tests.agent import first_word, serving
from hub.rpc.tests.trusted import (
    Trust,
    agent,
    agents_secret,
    bearer,
    channel,
    enrol,
    enrolled,
    rotate,
)
from hub.testing.patience import PATIENCE_S

pytestmark = pytest.mark.django_db(transaction=True)

Code = grpc.StatusCode


@pytest.fixture(autouse=True)
def _speaks_tls(settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    settings.GRPC_TLS = "on"
    settings.AGENT_TOKEN = ""
    settings.GRPC_HOST = "0.0.0.0"
    settings.GRPC_TLS_CERT = settings.GRPC_TLS_KEY = None
    settings.GRPC_MTLS = "off"
    settings.GRPC_ENROL_PORT = 0


@pytest.fixture
def trust() -> Trust:
    return Trust(authority.ca_pem().encode())


def a_company() -> Authority:
    key = certificates.new_key()
    return Authority(certificates.make_authority(key, timezone.now()), key)


async def healthy(port: int, trust: Trust) -> grpc.StatusCode:
    """Shake hands and ask what anybody may ask."""
    async with channel(port, trust) as made:
        stub: Any = health_pb2_grpc.HealthStub(made)
        try:
            await stub.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE_S)
        except grpc.aio.AioRpcError as error:
            return error.code()
    return Code.OK


class Own:
    """A certificate of one's own, by settings, that may be replaced."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.company = a_company()
        self.trust = Trust(certificates.pem(self.company.certificate), "hub.example")
        self._cert, self._key = folder / "own.pem", folder / "own.key"
        settings.GRPC_TLS_CERT, settings.GRPC_TLS_KEY = self._cert, self._key

    def show(self, *names: str, **shift: Any) -> None:
        key = certificates.new_key()
        made = certificates.make_server(
            self.company,
            key.public_key(),
            names or ["hub.example"],
            timezone.now() + timedelta(**shift),
        )
        self._key.write_bytes(certificates.private(key))
        self._cert.write_bytes(certificates.pem(made))

    def spoil(self) -> None:
        self._cert.write_bytes(b"half a certif")


async def test_the_hub_is_believed_by_its_own_authority_alone(trust: Trust) -> None:
    stranger = Trust(certificates.pem(a_company().certificate))

    async with serving() as (_, port):
        assert await healthy(port, trust) == Code.OK
        assert await healthy(port, stranger) == Code.UNAVAILABLE
        elsewhere = Trust(trust.ca, "another.example")
        assert await healthy(port, elsewhere) == Code.UNAVAILABLE


async def test_a_token_is_not_said_to_whom_the_agent_does_not_believe() -> None:
    token, kept = await sync_to_async(enrolment.make_token)(None)
    stranger = Trust(certificates.pem(a_company().certificate))

    async with serving() as (_, port):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await enrol(
                port, stranger, token=token, machine_id="a", secret=agents_secret()
            )

    await kept.arefresh_from_db()
    assert raised.value.code() == Code.UNAVAILABLE
    assert (kept.uses_left, await Machine.objects.acount()) == (1, 0)


@pytest.mark.parametrize(
    ("newest", "spoken"), [("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)]
)
async def test_nothing_older_than_tls_1_2_is_spoken(
    trust: Trust, newest: str, *, spoken: bool
) -> None:
    context = ssl.create_default_context(cadata=trust.ca.decode())
    # That old, a library of today must be asked twice.
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version = context.maximum_version = ssl.TLSVersion[newest]
    context.set_alpn_protocols(["h2"])

    async with serving() as (_, port):
        try:
            _, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=context, server_hostname=trust.name
            )
        except ConnectionResetError:
            # The hub's part: what this library will not speak is no reset.
            said = "refused"
        else:
            said = writer.get_extra_info("ssl_object").version()
            writer.close()

    assert said == (newest.replace("_", ".") if spoken else "refused")


async def test_an_expired_certificate_is_not_believed(
    settings: Settings, tmp_path: Path
) -> None:
    own = Own(settings, tmp_path)
    own.show(days=-400)

    async with serving() as (_, port):
        assert await healthy(port, own.trust) == Code.UNAVAILABLE


async def test_a_new_certificate_is_shown_without_a_restart(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "LOOK_EVERY_S", 0.0)
    own = Own(settings, tmp_path)
    own.show("old.example")
    renamed = Trust(own.trust.ca, "new.example")
    secret, _ = await enrolled("web-1")

    async with serving() as (_, port):
        first = Trust(own.trust.ca, "old.example")
        async with agent(port, first, secret) as web:
            await web.hello()
            await web.send(wire.layout("/"), wire.ticks([1], (0.5,)))
            await web.acked(1)
            before = await healthy(port, renamed)
            own.show("new.example")
            after = await healthy(port, renamed)
            # A file that is half written changes nothing.
            own.spoil()
            spoilt = await healthy(port, renamed)
            # And who was there goes on.
            await web.send(wire.ticks([2], (0.5,)))
            await web.acked(2)

    assert (before, after, spoilt) == (Code.UNAVAILABLE, Code.OK, Code.OK)


async def test_the_hubs_own_certificate_is_renewed_without_a_restart(
    trust: Trust, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "LOOK_EVERY_S", 0.0)
    async with serving() as (_, port):
        settings.ALLOWED_HOSTS = ["new.example"]
        renamed = Trust(trust.ca, "new.example")

        assert await healthy(port, renamed) == Code.OK


async def test_an_agents_certificate_cannot_pass_for_the_hub(
    settings: Settings, tmp_path: Path, trust: Trust
) -> None:
    key = certificates.new_key()
    made = authority.sign_client(request(key), authority.SERVER_NAME, 1)
    (tmp_path / "a.pem").write_bytes(certificates.pem(made))
    (tmp_path / "a.key").write_bytes(certificates.private(key))
    settings.GRPC_TLS_CERT = tmp_path / "a.pem"
    settings.GRPC_TLS_KEY = tmp_path / "a.key"

    async with serving() as (_, port):
        assert await healthy(port, trust) == Code.UNAVAILABLE


async def test_the_prober_finds_its_way(trust: Trust) -> None:
    async with serving() as (server, port):
        line = ProberLine(
            f"127.0.0.1:{port}",
            secret=inside.probe(),
            interval_s=1,
            trust=authority.local_trust,
        )
        async with line.stream() as stream:
            await stream.acked(await stream.send(wire.now_ms(), [0.1, 0.2, 0.3]))
        assert server.inside_port == 0


async def test_this_machines_own_agent_has_a_door_of_its_own() -> None:
    server = GrpcServer("0.0.0.0", 0, inside=True)
    await server.start()
    try:
        async with plain_agent(server.inside_port, bearer(inside.neighbour())) as web:
            await web.hello("here")
        # Which is no door for whoever else is on this machine.
        async with plain_agent(server.inside_port) as web:
            stranger, _ = await web.end()
    finally:
        await server.stop(1)

    assert stranger == Code.UNAUTHENTICATED


# -- mutual


def request(key: certificates.Key) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "whoever")])
    asked = x509.CertificateSigningRequestBuilder().subject_name(name)
    made = asked.sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.DER)


class Member:
    """An agent with a key of its own."""

    def __init__(self, trust: Trust) -> None:
        self._ca, self._key = trust.ca, certificates.new_key()
        self.secret = agents_secret()
        self.request = request(self._key)
        self.certificate = b""

    @property
    def trust(self) -> Trust:
        made = x509.load_der_x509_certificate(self.certificate)
        key = certificates.private(self._key)
        return Trust(self._ca, key=key, certificate=certificates.pem(made))

    async def join(self, port: int, name: str) -> None:
        token, _ = await sync_to_async(enrolment.make_token)(None)
        made = await enrol(
            port,
            Trust(self._ca),
            token=token,
            machine_id=name,
            secret=self.secret,
            certificate_request=self.request,
        )
        self.certificate = made.certificate


async def hello(port: int, trust: Trust, secret: str) -> tuple[grpc.StatusCode, str]:
    return await first_word(lambda: agent(port, trust, secret))


async def test_each_agent_shows_a_certificate_of_its_own(
    settings: Settings, trust: Trust
) -> None:
    settings.GRPC_MTLS = "required"
    ours, other = Member(trust), Member(trust)

    async with serving() as (server, port):
        door = server.enrol_port
        await ours.join(door, "web-1")
        await other.join(door, "web-2")

        own = await hello(port, ours.trust, ours.secret)
        none, _ = await hello(port, trust, ours.secret)
        others = await hello(port, other.trust, ours.secret)
        # The door for those who have none is for enrolment alone.
        by_that_door = await hello(door, trust, ours.secret)

    assert own == (Code.OK, "")
    assert none == Code.UNAVAILABLE
    assert others == by_that_door == (Code.UNAUTHENTICATED, NO_CERTIFICATE)


async def test_a_certificate_of_another_authority_is_worth_nothing(
    settings: Settings, trust: Trust
) -> None:
    settings.GRPC_MTLS = "required"
    ours = Member(trust)
    async with serving() as (server, port):
        await ours.join(server.enrol_port, "web-1")
        company, key = a_company(), certificates.new_key()
        identity = authority._identity("web-1", 1)
        forged = certificates.make_client(
            company, key.public_key(), "x", identity, timezone.now()
        )
        shown = Trust(
            trust.ca,
            key=certificates.private(key),
            certificate=certificates.pem(forged),
        )

        assert (await hello(port, shown, ours.secret))[0] == Code.UNAVAILABLE


async def test_a_rotation_brings_a_new_certificate_and_the_old_one_stays_good(
    settings: Settings, trust: Trust
) -> None:
    settings.GRPC_MTLS = "required"
    ours, new = Member(trust), agents_secret()

    async with serving() as (server, port):
        await ours.join(server.enrol_port, "web-1")
        before = ours.trust
        told = await rotate(port, before, ours.secret, new, ours.request)
        # The answer may be lost, and with it the certificate.
        old = await hello(port, before, new)
        ours.certificate = told.certificate
        fresh = await hello(port, ours.trust, new)
        pk = (await Machine.objects.aget(machine_id="web-1")).pk
        newest = await sync_to_async(credentials.newest)(pk)

    assert old == fresh == (Code.OK, "")
    assert ours.trust.certificate != before.certificate
    serial = x509.load_der_x509_certificate(told.certificate).serial_number
    assert newest is not None
    assert int(newest.certificate_serial, 16) == serial


async def test_enrolment_is_possible_where_certificates_are_required(
    settings: Settings, trust: Trust
) -> None:
    settings.GRPC_MTLS = "required"

    async with serving() as (server, port):
        assert server.enrol_port not in (0, port)
        async with channel(server.enrol_port, trust) as made:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await EnrolmentServiceStub(made).Enrol(
                    pb.EnrolRequest(token="x", machine_id="a", secret="x")
                )

    assert raised.value.code() == Code.UNAUTHENTICATED


async def test_the_key_is_not_read_by_others(tmp_path: Path) -> None:
    async with serving():
        mode = os.stat(tmp_path / "tls" / "ca.key").st_mode & 0o777

    assert mode == 0o600
