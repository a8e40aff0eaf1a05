from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from hub.alerts.courier import carry
from hub.alerts.parcel import Outcome, Parcel, Result, Task
from hub.alerts.tests.receivers import http_receiver, smtp_receiver
from hub.testing.patience import PATIENCE_S, wait_until
from hub.testing.processes import running

ROOT = Path(__file__).resolve().parents[3]

# A name server that changes its mind: public when it is judged, then this machine.
REBINDING = """
import socket
answers = {answers!r}
real = socket.getaddrinfo
def getaddrinfo(host, port, *args, **more):
    if host == "rebind.example":
        host = answers.pop(0) if len(answers) > 1 else answers[0]
    return real(host, port, *args, **more)
socket.getaddrinfo = getaddrinfo
from hub.alerts import errand
errand.main()
"""


def parcel(kind: str, address: str, **more: object) -> Parcel:
    fields = {
        "key": "k-1",
        "title": "[critical] CPU on db-1",
        "text": "CRITICAL: CPU on db-1",
        "html": "<p>CPU on db-1</p>",
        "brief_html": "CPU on db-1",
        "markdown": "CPU on db\\-1",
        "payload": '{"version":1}',
        "sender": "sysmonstm <sysmonstm@hub.example>",
    }
    return Parcel(kind=kind, address=address, **fields | more)  # type: ignore[arg-type]


def rebinding(*answers: str) -> tuple[str, ...]:
    return (sys.executable, "-c", REBINDING.format(answers=list(answers)))


def refused(outcome: Outcome) -> bool:
    return outcome.result is Result.REFUSED and "Not allowed" in outcome.said


def test_a_service_gets_the_message_through_apprise() -> None:
    with http_receiver() as receiver:
        outcome = carry(
            parcel("apprise", f"json://127.0.0.1:{receiver.port}/x", private=True)
        )

    assert outcome == Outcome(Result.SENT, "JSON took the message.")
    assert b"CRITICAL: CPU on db-1" in receiver.heard[0].body


def test_a_service_that_refuses_is_told_truly() -> None:
    with http_receiver() as receiver:
        receiver.status = 403
        outcome = carry(
            parcel("apprise", f"json://127.0.0.1:{receiver.port}/x", private=True)
        )

    assert outcome.result is Result.FAILED
    assert outcome.status == 403
    assert outcome.said.startswith("JSON: ")


@pytest.mark.parametrize(
    "address",
    [
        "json://{at}/",
        "jsons://{at}/",
        "xml://{at}/",
        "form://{at}/",
        "gotify://{at}/token",
        "ntfy://{at}/topic",
        "mailto://user:word@example.org:{port}?smtp=127.0.0.1&mode=insecure",
        "mailtos://user:word@example.org:{port}?smtp=127.0.0.1&mode=ssl",
        "json://localhost:{port}/",
        "json://2130706433:{port}/",
        "rsyslog://127.0.0.1/",
        "mmost://{at}/token",
        "rocket://user:word@{at}/#room",
        "matrix://user:word@{at}/#room",
    ],
)
def test_no_service_reaches_this_machine_when_it_is_sent(address: str) -> None:
    with http_receiver() as receiver:
        address = address.format(at=f"127.0.0.1:{receiver.port}", port=receiver.port)
        outcome = carry(parcel("apprise", address))

    assert not outcome.ok
    assert receiver.heard == []
    assert refused(outcome), outcome


@pytest.mark.parametrize(
    "address",
    [
        "json://127.0.0.1/",
        "json://localhost/",
        "json://169.254.169.254/latest",
        "json://[::1]/",
        "json://10.0.0.1/",
        "json://user:word@192.168.0.1/",
        "gotify://0x7f.1/token",
        "mailto://u:w@example.org?smtp=10.0.0.1",
        "dbus://",
        "syslog://",
        "windows://",
    ],
)
def test_an_address_of_this_machine_is_refused_when_it_is_saved(address: str) -> None:
    outcome = carry(parcel("apprise", address, task=Task.CHECK))

    assert outcome.result is Result.REFUSED


@pytest.mark.parametrize(
    "address",
    [
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#ops",
        "tgram://123456789:abcdefg_hijklmnop/12315544/",
        "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js",
        "ntfy://a-topic",
    ],
)
def test_a_known_service_may_be_saved(address: str) -> None:
    outcome = carry(parcel("apprise", address, task=Task.CHECK))

    assert outcome.ok, outcome.said


def test_what_apprise_does_not_know_is_said_so() -> None:
    outcome = carry(parcel("apprise", "nonsense", task=Task.CHECK))

    assert "not an address that Apprise knows" in outcome.said


@pytest.mark.parametrize("kind", ["apprise", "webhook"])
def test_a_name_that_changes_its_answer_leads_nowhere(kind: str) -> None:
    scheme = "json" if kind == "apprise" else "http"
    with http_receiver() as receiver:
        address = f"{scheme}://rebind.example:{receiver.port}/"
        saved = carry(
            parcel(kind, address, task=Task.CHECK),
            program=rebinding("198.41.0.4", "127.0.0.1"),
        )
        sent = carry(parcel(kind, address), program=rebinding("127.0.0.1"))

    assert saved.ok, saved.said
    assert refused(sent), sent
    assert receiver.heard == []


def test_what_was_resolved_once_is_what_is_connected_to() -> None:
    # Were the name asked again after judging, the receiver would hear it.
    with http_receiver() as receiver:
        address = f"http://rebind.example:{receiver.port}/"
        outcome = carry(
            parcel("webhook", address),
            program=rebinding("192.0.2.1", "127.0.0.1"),
        )

    assert refused(outcome)
    assert receiver.heard == []


def test_a_service_does_not_follow_a_redirect_even_when_asked_to() -> None:
    with http_receiver() as inside, http_receiver() as receiver:
        receiver.status, receiver.more = 302, {"Location": f"{inside.url}/secret"}
        carry(
            parcel(
                "apprise",
                f"json://127.0.0.1:{receiver.port}/?redirect=yes",
                private=True,
            )
        )

    assert len(receiver.heard) == 1
    assert inside.heard == []


def test_a_service_with_a_huge_answer_is_left_early() -> None:
    with http_receiver() as receiver:
        receiver.answer = b"x" * (256 << 20)
        outcome = carry(
            parcel("apprise", f"json://127.0.0.1:{receiver.port}/", private=True)
        )

        assert outcome.ok
        assert receiver.left.wait(PATIENCE_S)


def test_a_service_that_never_answers_is_left_in_time() -> None:
    with http_receiver() as receiver:
        receiver.wait_s = 3
        outcome = carry(
            parcel(
                "apprise",
                f"json://127.0.0.1:{receiver.port}/?rto=600&retry=5",
                private=True,
            ),
            deadline_s=1.5,
        )

    assert outcome == Outcome(Result.FAILED, "Nothing came of it within 1.5 s.")


def test_a_sender_sees_nothing_of_the_hubs_environment() -> None:
    script = """
import os, sys
from hub.alerts.parcel import Outcome, Result
print(Outcome(Result.SENT, " ".join(sorted(os.environ))).pack())
"""
    given = {**os.environ, "SECRET_KEY": "x", "HTTPS_PROXY": "http://10.0.0.1"}

    outcome = carry(
        parcel("webhook", ""),
        program=(sys.executable, "-c", script),
        environment=given,
    )

    assert "PATH" in outcome.said
    assert "SECRET_KEY" not in outcome.said
    assert "PROXY" not in outcome.said


def test_mail_goes_through_the_operators_server_wherever_it_is() -> None:
    with smtp_receiver() as box:
        outcome = carry(parcel("email", "ops@example.org", smtp_url=box.url))

    assert outcome.ok, outcome.said
    assert outcome.said == f"127.0.0.1:{box.port} took the message."
    [mail] = box.mails
    assert box.recipients == ["ops@example.org"]
    assert mail["Subject"] == "[critical] CPU on db-1"
    assert mail["Message-ID"] == "<k-1@hub.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert "CPU on db-1" in plain.get_content()
    assert "<p>CPU on db-1</p>" in html.get_content()


def test_what_the_mail_server_answers_is_said() -> None:
    with smtp_receiver() as box:
        box.reply = "552 mailbox full"
        outcome = carry(parcel("email", "ops@example.org", smtp_url=box.url))

    assert outcome.result is Result.FAILED
    assert outcome.status == 552
    assert outcome.said == f"127.0.0.1:{box.port} refused: 552 mailbox full"


def test_what_the_mail_server_answers_names_no_address() -> None:
    with smtp_receiver() as box:
        box.reply = "550 <Ops@example.org>: no such user"
        outcome = carry(parcel("email", "Ops <ops@example.org>", smtp_url=box.url))

    assert outcome.said.endswith("550 <the address>: no such user")


def test_without_a_mail_server_it_says_what_to_set() -> None:
    outcome = carry(parcel("email", "ops@example.org"))

    assert "set SMTP_URL" in outcome.said


def test_a_line_break_cannot_add_a_header() -> None:
    with smtp_receiver() as box:
        address = "ops@example.org\r\nBcc: all@example.org"
        outcome = carry(parcel("email", address, smtp_url=box.url))

    assert not outcome.ok
    assert box.recipients == []


PARENT = """
import sys
import django
django.setup()
from hub.alerts.courier import carry
from hub.alerts.parcel import Parcel
print("going", flush=True)
carry(Parcel("webhook", sys.argv[1], private=True, payload="{}"))
"""


def _children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in listed.split()]


@pytest.mark.process
def test_a_sender_ends_with_its_starter_even_by_kill_9(tmp_path: Path) -> None:
    with http_receiver() as receiver:
        receiver.wait_s = 20
        with running(
            *(sys.executable, "-c", PARENT, receiver.url),
            log=tmp_path / "log",
            env={**os.environ, "DATA_DIR": str(tmp_path)},
            cwd=ROOT,
        ) as parent:
            receiver.wait_for(1)
            [sender] = _children(parent.pid)
            os.kill(parent.pid, signal.SIGKILL)
            wait_until(lambda: not Path(f"/proc/{sender}").exists())
        receiver.wait_s = 0
