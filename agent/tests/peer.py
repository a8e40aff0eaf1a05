"""The hub's side of enrolment, played by real servers over real TLS."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from sysmonstm_proto import metrics_pb2 as pb
from sysmonstm_proto.metrics_pb2_grpc import (
    EnrolmentServiceServicer,
    MetricsServiceServicer,
    add_EnrolmentServiceServicer_to_server,
    add_MetricsServiceServicer_to_server,
)

from tests.certificates import Authority, Certificate

TOKEN = "sme_token"
WRONG = "The enrolment token is wrong, used up or expired."
DENIED = "The credential is missing or wrong."


class Peer(EnrolmentServiceServicer, MetricsServiceServicer):
    """Knows one token for one machine, as the hub's own tests hold the hub to it."""

    def __init__(self, authority: Authority | None = None) -> None:
        self.authority = authority
        self.target = ""
        self.names = "web-1"
        # What opens, the newest first.
        self.secrets: list[str] = []
        # What every call has shown.
        self.shown: list[str] = []
        self.enrolments: list[pb.EnrolRequest] = []
        self.rotations: list[pb.RotateRequest] = []
        # How many answers get lost: done, and not heard of.
        self.losing = 0
        self.streams = 0
        self.cuts = 0

    def Enrol(self, request: pb.EnrolRequest, context: Any) -> pb.EnrolResponse:
        self.enrolments.append(request)
        used = self.enrolments[0].secret
        if request.token != TOKEN or request.secret != used:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, WRONG)
        if request.secret not in self.secrets:
            self.secrets.insert(0, request.secret)
        self.lose(context)
        return pb.EnrolResponse(
            machine_id=self.names, certificate=self.sign(request.certificate_request)
        )

    def Rotate(self, request: pb.RotateRequest, context: Any) -> pb.RotateResponse:
        self.let_in(context)
        if not request.secret:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "That is no secret.")
        self.rotations.append(request)
        if request.secret not in self.secrets:
            self.secrets.insert(0, request.secret)
        self.lose(context)
        return pb.RotateResponse(
            old_until_unix_ms=1, certificate=self.sign(request.certificate_request)
        )

    def StreamMetrics(
        self, requests: Iterator[pb.MetricsRequest], context: Any
    ) -> Iterator[pb.StreamAck]:
        self.let_in(context)
        assert next(requests).WhichOneof("body") == "hello"
        before = self.cuts
        self.streams += 1
        yield pb.StreamAck(welcome=pb.Welcome(window=256))
        while context.is_active() and self.cuts == before:
            time.sleep(0.005)
        if context.is_active():
            context.abort(grpc.StatusCode.UNAUTHENTICATED, DENIED)

    def GetCurrentState(self, request: Any, context: Any) -> pb.MachineState:
        raise NotImplementedError("an agent never asks")

    def GetAllStates(self, request: Any, context: Any) -> Iterator[pb.MachineState]:
        raise NotImplementedError("an agent never asks")

    def let_in(self, context: Any) -> None:
        shown = dict(context.invocation_metadata()).get("authorization", "")
        self.shown.append(shown.removeprefix("Bearer "))
        if self.shown[-1] not in self.secrets:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, DENIED)

    def lose(self, context: Any) -> None:
        if self.losing:
            self.losing -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "The answer got lost.")

    def sign(self, request: bytes) -> bytes:
        if not request or self.authority is None:
            return b""
        return self.authority.sign(request, self.names)

    def forget_old(self) -> None:
        del self.secrets[1:]

    def cut(self) -> None:
        """End the streams that are up."""
        self.cuts += 1

    def revoke(self) -> None:
        self.secrets.clear()
        self.cut()

    def document(self, **other: object) -> dict[str, object]:
        """Return what the hub's pages say, or what somebody else says there."""
        tls = self.authority is not None
        ca = self.authority.pem if self.authority else ""
        return {"grpc": self.target, "tls": tls, "ca": ca, **other}


@contextmanager
def serving(
    peer: Peer, certificate: Certificate | None = None, *, mutual: bool = False
) -> Iterator[Peer]:
    # An agent's stream takes a thread for as long as it lives.
    server = grpc.server(ThreadPoolExecutor(8))
    add_EnrolmentServiceServicer_to_server(peer, server)
    add_MetricsServiceServicer_to_server(peer, server)
    server.add_generic_rpc_handlers((health(),))
    if certificate is None and peer.authority is not None:
        certificate = peer.authority.server("sysmonstm-hub")
    if certificate is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        clients = peer.authority.pem.encode() if mutual and peer.authority else None
        credentials = grpc.ssl_server_credentials(
            [(certificate.key, certificate.pem)], clients, mutual
        )
        port = server.add_secure_port("127.0.0.1:0", credentials)
    peer.target = f"127.0.0.1:{port}"
    server.start()
    try:
        yield peer
    finally:
        server.stop(0).wait()


def health() -> grpc.GenericRpcHandler:
    def answer(request: bytes, context: Any) -> bytes:
        return b"\x08\x01"

    check: grpc.RpcMethodHandler[bytes, bytes]
    check = grpc.unary_unary_rpc_method_handler(answer)
    return grpc.method_handlers_generic_handler(
        "grpc.health.v1.Health", {"Check": check}
    )


@contextmanager
def pages(
    document: dict[str, object], *, status: int = 200, ahead_s: float = 0
) -> Iterator[str]:
    """Serve what an agent asks the hub's pages for; yield their address."""

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = json.dumps(document).encode()
            found = status if self.path == "/install/hub.json" else 404
            self.send_response(found)
            if found == 301:
                self.send_header("Location", "https://hub.example/")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string(time.time() + ahead_s)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
