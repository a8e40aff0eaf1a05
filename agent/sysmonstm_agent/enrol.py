"""`sysmonstm-agent enrol`: a token becomes this machine's own credential.

The secret is chosen and kept before the hub is asked. So an answer that got lost is
asked for again with the same secret, and the token is not used twice.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import time
from dataclasses import replace

import grpc
from sysmonstm_proto import metrics_pb2 as pb
from sysmonstm_proto.metrics_pb2_grpc import EnrolmentServiceStub

from sysmonstm_agent import __version__, credential, trust
from sysmonstm_agent.ask import accepted, channel_to, status
from sysmonstm_agent.commands import Parsers, add_parser
from sysmonstm_agent.config import Config, ca, machine_id
from sysmonstm_agent.credential import FILE, PENDING_FILE, Credential, CredentialRefused
from sysmonstm_agent.hub_address import BadConfig, address, is_loopback
from sysmonstm_agent.rotate import pem
from sysmonstm_agent.trust import Hub, Untrusted

ASK_S = 20.0
TOKEN_VARIABLE = "COLLECTOR_ENROL_TOKEN"


class NotEnrolled(Exception):
    """A sentence for people."""


def add(parsers: Parsers[argparse.ArgumentParser]) -> None:
    made = add_parser(
        parsers, "enrol", "--token", "--plaintext", "--ca-file", "--aggregator-url"
    )
    made.add_argument(
        "url", nargs="?", help="address of the hub's pages, such as https://hub.example"
    )
    made.add_argument(
        "--token",
        dest="enrolment_token",
        metavar="…",
        default=os.environ.get(TOKEN_VARIABLE, ""),
        help=f"the enrolment token that the hub showed [{TOKEN_VARIABLE}]",
    )
    made.add_argument(
        "--fingerprint",
        metavar="sha256:…",
        default="",
        help="of the hub's own authority, as the hub showed it",
    )
    made.add_argument(
        "--grpc",
        metavar="host:port",
        help="where the hub hears agents, instead of asking its pages",
    )
    made.add_argument(
        "--enrol-at",
        metavar="host:port",
        help="with --grpc: where it enrols them, if it hears only certified ones there",
    )
    made.add_argument(
        "--ca-file",
        metavar="…",
        default="",
        help="with --grpc: the hub's own authority, a PEM file",
    )
    made.add_argument(
        "--plaintext",
        action="store_true",
        help="speak plain text to another machine too, for all between to hear",
    )
    made.add_argument(
        "--certificate",
        action="store_true",
        help="ask for a certificate too, for mutual TLS (needs sysmonstm-agent[mtls])",
    )
    made.add_argument(
        "--again",
        action="store_true",
        help="also where this machine is enrolled and its credential is good",
    )


def run(options: argparse.Namespace, config: Config) -> int:
    try:
        said = enrol(options, config)
    except (NotEnrolled, Untrusted, CredentialRefused) as refused:
        sys.stderr.write(f"sysmonstm-agent: {refused}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"sysmonstm-agent: {config.state_dir}: {error.strerror}.\n")
        return 1
    sys.stdout.write("\n".join(said) + "\n")
    return 0


def enrol(options: argparse.Namespace, config: Config) -> list[str]:
    """Return what to tell the person."""
    token = options.enrolment_token.strip()
    if not token:
        raise BadConfig(f"give --token, or {TOKEN_VARIABLE}; {trust.WHERE}.")
    kept = credential.load(config.state_dir)
    if kept and kept.token == mark(token):
        return [f"This machine is enrolled at {kept.hub} as {kept.machine_id} already."]
    hub = find(options)
    if kept and not options.again and kept.hub == hub.target and good(config, kept):
        raise NotEnrolled(
            f"this machine is enrolled at {kept.hub} as {kept.machine_id}, and the hub"
            " takes its credential. Nothing was changed, and the token is still good."
            " --again enrols it all the same, as another machine unless the token is"
            " of the machine's own page."
        )
    wanted = pending(options, config, hub, token)
    answer = ask(config, hub, wanted, token)
    enrolled = replace(
        wanted,
        machine_id=machine_id(answer.machine_id),
        made=time.time(),
        certificate=pem(answer.certificate),
    )
    credential.store(config.state_dir, enrolled)
    credential.remove(config.state_dir / PENDING_FILE)
    return tell(config, enrolled, answer)


def find(options: argparse.Namespace) -> Hub:
    if options.grpc:
        target, tls = address(options.grpc)
        pinned = ca(options.ca_file)
        if options.fingerprint:
            pinned = trust.check(pinned, options.fingerprint)
        if tls is None:
            tls = bool(pinned) or not (options.plaintext or is_loopback(target))
        enrolling, _ = address(options.enrol_at) if options.enrol_at else ("", None)
        hub = Hub(target, tls, pinned, "", enrolling)
    elif options.url:
        hub = trust.ask(options.url, options.fingerprint)
    else:
        raise BadConfig("name the hub by the address of its pages, or by --grpc.")
    if not hub.tls and options.fingerprint:
        raise Untrusted(
            "a --fingerprint was given, and this hub speaks plain text: it is another"
            " hub, or TLS was turned off there."
        )
    if not hub.tls and not options.plaintext and not is_loopback(hub.target):
        raise Untrusted(
            f"the hub at {hub.target} speaks plain text, for all between to hear; say"
            " --plaintext if nobody is between."
        )
    return hub


def pending(
    options: argparse.Namespace, config: Config, hub: Hub, token: str
) -> Credential:
    """Return what the hub is asked for, kept on disk, the same for the same token."""
    path = config.state_dir / PENDING_FILE
    try:
        before = credential.load(config.state_dir, PENDING_FILE)
    except CredentialRefused:
        # It is replaced, never followed.
        before = None
    wanted = Credential(
        hub=hub.target,
        tls=hub.tls,
        ca=hub.ca,
        web=hub.web,
        plaintext=options.plaintext,
        machine_id=config.machine_id,
        secret=credential.new_secret(),
        token=mark(token),
    )
    if before and before.token == wanted.token:
        return replace(
            wanted, secret=before.secret, key=before.key, request=before.request
        )
    if options.certificate or hub.enrol:
        from sysmonstm_agent.certificate import key_and_request

        key, request = key_and_request(config.machine_id)
        wanted = replace(wanted, key=key, request=request)
    credential.store(path.parent, wanted, PENDING_FILE)
    return wanted


def ask(config: Config, hub: Hub, wanted: Credential, token: str) -> pb.EnrolResponse:
    to = replace(
        config,
        target=hub.enrol or hub.target,
        tls=hub.tls,
        ca=hub.ca,
        plaintext=wanted.plaintext,
        credential=None,
    )
    request = pb.EnrolRequest(
        token=token,
        machine_id=config.machine_id,
        secret=wanted.secret,
        agent_version=__version__,
        certificate_request=credential.binary(wanted.request),
    )
    with channel_to(to) as channel:
        try:
            return EnrolmentServiceStub(channel).Enrol(request, timeout=ASK_S)
        except grpc.RpcError as error:
            raise NotEnrolled(why(error, to.target)) from None


def why(error: grpc.RpcError, hub: str) -> str:
    code, details = status(error)
    if code is grpc.StatusCode.UNAUTHENTICATED:
        return f"the hub says: {details} Make a new one on the page Add machine."
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        return (
            f"the hub at {hub} cannot be reached ({details.strip()}). Run the same"
            " command again; the token is not lost."
        )
    return f"the hub at {hub} answers {code.name}: {details}"


def good(config: Config, kept: Credential) -> bool:
    """Say whether the hub takes the credential that is there already."""
    to = replace(
        config,
        target=kept.hub,
        tls=kept.tls,
        ca=kept.ca,
        credential=kept,
        plaintext=True,
    )
    return accepted(to, kept.secret).taken


def mark(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()[:16]


def tell(config: Config, made: Credential, answer: pb.EnrolResponse) -> list[str]:
    said = [f"Enrolled at {made.hub} as {made.machine_id}."]
    if made.machine_id != config.machine_id:
        said.append(f"The hub has a {config.machine_id} already, hence the name.")
    apart_s = abs(answer.clock_unix_ms / 1000 - time.time())
    if answer.clock_unix_ms and apart_s > 60:
        said.append(
            f"The clocks of the hub and this machine are {apart_s:.0f} s apart: set"
            " them, best by NTP."
        )
    if made.request and not made.certificate:
        said.append("The hub issued no certificate: it wants none.")
    said += [
        f"The credential is in {config.state_dir / FILE}.",
        "Next: start the agent, or restart it: systemctl restart sysmonstm-agent, or"
        " sysmonstm-agent by hand.",
    ]
    return said
