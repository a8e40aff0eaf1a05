"""E-mail through the operator's mail server, in the courier's own process."""

from __future__ import annotations

import re
import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime, parseaddr
from urllib.parse import unquote, urlsplit

from hub.alerts.parcel import Outcome, Parcel, Result
from hub.alerts.webhook import Failed

TIMEOUT_S = 10.0
PORTS = {"smtp": 25, "smtps": 465}
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Server:
    host: str
    port: int
    tls: bool
    user: str
    password: str


def server(url: str) -> Server:
    parts = urlsplit(url)
    return Server(
        parts.hostname or "localhost",
        parts.port or PORTS[parts.scheme],
        parts.scheme == "smtps",
        unquote(parts.username or ""),
        unquote(parts.password or ""),
    )


def compose(
    parcel: Parcel, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> EmailMessage:
    """Make the message. Raises ValueError for an address that is none."""
    message = EmailMessage(policy=SMTP_POLICY)
    message["Subject"] = parcel.title
    message["From"] = _address(parcel.sender)
    message["To"] = _address(parcel.address)
    message["Date"] = format_datetime(clock())
    domain = parcel.sender.rpartition("@")[2].strip("> ")
    # The same for every attempt: mailboxes that know it show it once.
    message["Message-ID"] = f"<{parcel.key}@{domain}>"
    # Holiday notices are not to answer a program: RFC 3834.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(parcel.text)
    message.add_alternative(parcel.html, subtype="html")
    return message


def send(parcel: Parcel) -> Outcome:
    """Hand the message to the mail server. Raises Failed."""
    if not parcel.smtp_url:
        said = "No mail server is set: set SMTP_URL, see docs/notifications.md."
        return Outcome(Result.REFUSED, said)
    to = server(parcel.smtp_url)
    where = f"{to.host}:{to.port}"
    try:
        message = compose(parcel)
        with _connect(to) as smtp:
            smtp.send_message(message)
    except smtplib.SMTPRecipientsRefused as error:
        [(code, reply)] = error.recipients.values()
        answer = _answer(code, reply, parcel)
        raise Failed(f"{where} refused the recipient: {answer}", code) from error
    except smtplib.SMTPResponseException as error:
        answer = _answer(error.smtp_code, error.smtp_error, parcel)
        raise Failed(f"{where} refused: {answer}", error.smtp_code) from error
    except smtplib.SMTPException as error:
        raise Failed(f"{where} did not take it: {type(error).__name__}.") from error
    except ValueError as error:
        raise Failed("An address cannot be written in a mail header.") from error
    except OSError as error:
        why = error.strerror or str(error) or type(error).__name__
        raise Failed(f"No connection to {where}: {why}.") from error
    return Outcome(Result.SENT, f"{where} took the message.", 250)


def _address(text: str) -> Address:
    if any(ord(one) < 32 for one in text):
        raise ValueError(text)
    name, address = parseaddr(text)
    return Address(display_name=name, addr_spec=address)


def _connect(to: Server) -> smtplib.SMTP:
    context = ssl.create_default_context()
    if to.tls:
        smtp: smtplib.SMTP = smtplib.SMTP_SSL(
            to.host, to.port, timeout=TIMEOUT_S, context=context
        )
    else:
        smtp = smtplib.SMTP(to.host, to.port, timeout=TIMEOUT_S)
    try:
        smtp.ehlo_or_helo_if_needed()
        if not to.tls and smtp.has_extn("starttls"):
            # A server of this machine has a certificate of its own making.
            smtp.starttls(context=_unverified() if to.host in LOOPBACK else context)
        elif not to.tls and to.user and to.host not in LOOPBACK:
            raise Failed(f"{to.host} offers no TLS: the password is not sent.")
        if to.user:
            smtp.login(to.user, to.password)
    except BaseException:
        smtp.close()
        raise
    return smtp


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _answer(code: int, said: bytes | str, parcel: Parcel) -> str:
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    # Whoever may see an alert sees this, and need not know whom it went to.
    address = parseaddr(parcel.address)[1] or parcel.address
    text = re.sub(re.escape(address), "the address", text, flags=re.IGNORECASE)
    return f"{code} {' '.join(text.split())[:200]}"
