"""What can be seen of the way to the hub. Each look builds on the one before."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator

import grpc

from sysmonstm_agent import trust
from sysmonstm_agent.ask import ASK_S, accepted, channel_to, status
from sysmonstm_agent.config import Config
from sysmonstm_agent.doctor.finding import Finding, fail, ok, warn
from sysmonstm_agent.doctor.handshake import tls
from sysmonstm_agent.hub_address import BadConfig, is_loopback
from sysmonstm_agent.identity import Identity
from sysmonstm_agent.trust import Untrusted

CONNECT_S = 5.0
HEALTH = "/grpc.health.v1.Health/Check"
# HealthCheckResponse with status SERVING; an agent has no other use for the package.
SERVING = b"\x08\x01"
# A chart is drawn by the agent's clock.
APART_S = 5.0
# A hub refuses samples that are further ahead.
TOO_FAR_S = 300.0


def look(config: Config) -> Iterator[Finding]:
    if not config.tls and not config.plaintext and not is_loopback(config.target):
        return
    for step in (name, port, tls, answer):
        finding = step(config)
        yield finding
        if finding.level == "FAIL":
            return
    yield clock(config)
    yield welcome(config)


def name(config: Config) -> Finding:
    host = config.target.rpartition(":")[0]
    try:
        found = trust.resolve(config.target)
    except OSError as error:
        return fail(
            "name",
            f"{host} has no address ({error.strerror}): correct the name, or this"
            " machine's name servers.",
        )
    return ok("name", f"{host} is {', '.join(found)}.")


def port(config: Config) -> Finding:
    host, _, number = config.target.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(number)), CONNECT_S).close()
    except TimeoutError:
        return fail(
            "port",
            f"{config.target} does not answer within {CONNECT_S:.0f} s: a firewall"
            " between drops it, or the hub's machine is off.",
        )
    except OSError as error:
        return fail(
            "port",
            f"{config.target}: {error.strerror or error}. Is the hub running, and does"
            " it listen beyond its own machine (GRPC_HOST)?",
        )
    return ok("port", f"{config.target} accepts connections.")


def answer(config: Config) -> Finding:
    """Ask whether it is well, which needs no credential."""
    with channel_to(config) as channel:
        check: Callable[..., bytes] = channel.unary_unary(HEALTH)
        try:
            said = check(b"", timeout=ASK_S)
        except grpc.RpcError as error:
            code, details = status(error)
            text = f"what listens there does not answer as a hub: {code.name} {details}"
            if config.tls and not (config.credential and config.credential.certificate):
                text += ". If the hub wants certificates, enrol with --certificate."
            return fail("hub", text)
    if said != SERVING:
        return warn("hub", "it answers, and takes no samples just now: it is stopping.")
    return ok("hub", "it answers, and takes samples.")


def clock(config: Config) -> Finding:
    web = config.credential.web if config.credential else ""
    if not web:
        return warn(
            "clock", "the hub's is not known: it was not enrolled by its pages."
        )
    try:
        before_s = time.time()
        there_s = trust.clock_s(web)
    except (Untrusted, BadConfig) as trouble:
        return warn("clock", f"the hub's is not known: {trouble}")
    if there_s is None:
        return warn("clock", f"{web} does not tell its time.")
    apart_s = (before_s + time.time()) / 2 - there_s
    side = "ahead of" if apart_s > 0 else "behind"
    text = f"{abs(apart_s):.0f} s {side} the hub's"
    if abs(apart_s) > TOO_FAR_S:
        return fail("clock", f"{text}: samples are refused or late. Set it, by NTP.")
    if abs(apart_s) > APART_S:
        return warn("clock", f"{text}: charts are off by as much. Set it, by NTP.")
    return ok("clock", "as the hub's.")


def welcome(config: Config) -> Finding:
    try:
        secret = Identity(config).secret
        verdict = accepted(config, secret)
        if verdict.refused and config.credential and config.credential.next:
            verdict = accepted(config, config.credential.next)
    except BadConfig as refused:
        return fail("welcome", str(refused))
    if verdict.taken:
        return ok("welcome", "the hub takes what this machine proves itself with.")
    if verdict.refused:
        return fail(
            "welcome",
            "the hub does not take it: it was revoked, replaced, or is another hub's."
            " Make a new command on the machine's page there, and run it here.",
        )
    return warn(
        "welcome", f"the hub does not say whether it lets us in: {verdict.text}"
    )
