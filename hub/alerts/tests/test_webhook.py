from __future__ import annotations

import hashlib
import hmac
import json
import time

import pytest

from hub.alerts.guard import Policy, Refused
from hub.alerts.tests.receivers import Receiver, http_receiver
from hub.alerts.webhook import Failed, headers, parse, post, sign
from hub.testing.patience import PATIENCE_S

LOCAL = Policy(private=True)
BODY = json.dumps({"version": 1}).encode()


def send(receiver: Receiver, url: str = "", *, total_s: float = 10) -> int:
    head = headers(BODY, secret="word", key="k-1", clock=lambda: 1_700_000_000.9)
    return post(
        url or f"{receiver.url}/hook?a=b", BODY, head, policy=LOCAL, total_s=total_s
    )


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "gopher://example.org/",
        "ftp://example.org/",
        "javascript:alert(1)",
        "//example.org/",
        "https://",
        "https:///path",
        "https://good.example@127.0.0.1/",
        "https://user:word@example.org/",
        "https://example.org\\@127.0.0.1/",
        "https://exa mple.org/",
        "https://example.org/\r\nHost: other",
        "https://example.org:22/",
        "https://example.org:6e1/",
        "https://example.org:99999/",
        "https://example.org:25/",
        "https://[::1/",
        "https://example.org/é",
        "https://example.org/" + "a" * 2048,
    ],
)
def test_an_address_with_a_trick_in_it_is_refused(url: str) -> None:
    # Some can be taken apart, and lead nowhere.
    with pytest.raises(Refused):
        post(url, BODY, {}, policy=Policy(), lookup=lambda host, port: [])


def test_an_international_name_is_written_in_ascii() -> None:
    target = parse("https://bücher.example:8443/x?y=1")

    assert (target.host, target.port, target.path) == (
        "xn--bcher-kva.example",
        8443,
        "/x?y=1",
    )
    assert target.authority == "xn--bcher-kva.example:8443"


def test_a_receiver_can_verify_who_sent_it_and_when() -> None:
    with http_receiver() as receiver:
        assert send(receiver) == 200

    [heard] = receiver.heard
    assert heard.path == "/hook?a=b"
    assert heard.body == BODY
    assert heard.headers["Host"] == f"127.0.0.1:{receiver.port}"
    assert heard.headers["X-Sysmonstm-Delivery"] == "k-1"
    assert heard.headers["X-Sysmonstm-Timestamp"] == "1700000000"
    expected = hmac.new(b"word", b"1700000000." + BODY, hashlib.sha256).hexdigest()
    assert heard.headers["X-Sysmonstm-Signature"] == f"v1={expected}"


def test_another_body_or_another_time_has_another_signature() -> None:
    first = sign(BODY, "word", at=1)

    assert first != sign(BODY, "word", at=2)
    assert first != sign(BODY + b" ", "word", at=1)
    assert first != sign(BODY, "words", at=1)


def test_the_name_is_resolved_once_and_kept_for_the_receiver() -> None:
    asked: list[str] = []

    def lookup(host: str, port: int) -> list[str]:
        asked.append(host)
        # The second answer would be the trick.
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    with http_receiver() as receiver:
        url = f"http://hook.example:{receiver.port}/"
        post(url, BODY, {}, policy=LOCAL, lookup=lookup)

    assert asked == ["hook.example"]
    assert receiver.heard[0].headers["Host"] == f"hook.example:{receiver.port}"


def test_a_redirect_is_not_followed() -> None:
    with http_receiver() as inside, http_receiver() as receiver:
        receiver.status, receiver.more = 302, {"Location": f"{inside.url}/secret"}

        with pytest.raises(Failed, match=r"302 \(redirects are not followed") as failed:
            send(receiver)

    assert failed.value.status == 302
    assert inside.heard == []


@pytest.mark.parametrize("status", [400, 404, 410, 429, 500, 503])
def test_what_is_not_taken_says_the_status_and_not_the_answer(status: int) -> None:
    with http_receiver() as receiver:
        receiver.status, receiver.answer = status, b"internal secrets"

        with pytest.raises(Failed) as failed:
            send(receiver)

    assert str(failed.value) == f"127.0.0.1 answered {status}."


def test_a_huge_answer_is_not_read() -> None:
    with http_receiver() as receiver:
        receiver.answer = b"x" * (64 << 20)

        assert send(receiver) == 200

        assert receiver.left.wait(PATIENCE_S)


def test_a_receiver_that_never_answers_is_left_in_time() -> None:
    with http_receiver() as receiver:
        receiver.wait_s = 2

        with pytest.raises(Failed, match=r"no answer within 0\.3 s"):
            send(receiver, total_s=0.3)


def test_a_receiver_that_drips_is_left_in_time() -> None:
    with http_receiver() as receiver:
        receiver.drip_s = 0.02

        started = time.monotonic()
        with pytest.raises(Failed):
            send(receiver, total_s=0.5)

    assert 0.4 < time.monotonic() - started < PATIENCE_S


def test_headers_without_end_are_not_read_to_the_end() -> None:
    with http_receiver() as receiver:
        receiver.more = {"X-Long": "y" * 70_000}

        with pytest.raises(Failed, match="not HTTP"):
            send(receiver)


def test_nobody_listening_is_a_sentence() -> None:
    with http_receiver() as receiver:
        url = receiver.url
    with pytest.raises(Failed, match=r"No connection to .*: connection refused"):
        post(url, BODY, {}, policy=LOCAL)
