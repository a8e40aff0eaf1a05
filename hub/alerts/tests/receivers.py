"""Real receivers on this machine: HTTP and SMTP, each on a free port."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from hub.testing.patience import PATIENCE_S
from hub.testing.processes import free_port


@dataclass
class Heard:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """An HTTP server that takes what it is sent, and answers as it is told."""

    port: int = 0
    heard: list[Heard] = field(default_factory=list)
    status: int = 200
    answer: bytes = b"ok"
    more: dict[str, str] = field(default_factory=dict)
    # Before the answer.
    wait_s: float = 0
    # One byte at a time, until nobody listens.
    drip_s: float = 0
    # Whoever asked left before the end of the answer.
    left: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait_for(self, count: int, *, within_s: float = PATIENCE_S) -> list[Heard]:
        ends = time.monotonic() + within_s
        while len(self.heard) < count and time.monotonic() < ends:
            time.sleep(0.01)
        assert len(self.heard) >= count, f"heard {len(self.heard)} of {count}"
        return self.heard


@contextmanager
def http_receiver() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            receiver.heard.append(Heard(self.path, dict(self.headers.items()), body))
            time.sleep(receiver.wait_s)
            try:
                self._answer()
            except OSError:
                self.close_connection = True
                receiver.left.set()

        do_GET = do_POST

        def _answer(self) -> None:
            if receiver.drip_s:
                while True:
                    self.wfile.write(b"H")
                    time.sleep(receiver.drip_s)
            self.send_response(receiver.status)
            for name, value in receiver.more.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(receiver.answer)))
            self.end_headers()
            self.wfile.write(receiver.answer)

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Mailbox:
    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    # What is answered to a message.
    reply: str = "250 kept"

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"


@contextmanager
def smtp_receiver() -> Iterator[Mailbox]:
    box = Mailbox()

    class Handler:
        async def handle_DATA(
            self, server: SMTP, session: Session, envelope: Envelope
        ) -> str:
            if box.reply.startswith("250"):
                content = envelope.content or b""
                assert isinstance(content, bytes)
                mail = message_from_bytes(content, policy=policy.default)
                assert isinstance(mail, EmailMessage)
                box.mails.append(mail)
                box.recipients += envelope.rcpt_tos
            return box.reply

    box.port = free_port()
    controller = Controller(Handler(), hostname="127.0.0.1", port=box.port)
    controller.start()
    try:
        yield box
    finally:
        controller.stop(no_assert=True)
