"""The process that sends one message: `python -m hub.alerts.errand LEASH`.

Reads a parcel from its input, prints the outcome. No Django, no database, and no
connection but to an address that was judged: an audit hook sees every connection
that this process makes, whichever library makes it, with the address it goes to.
So there is no moment between judging and connecting. It ends with its starter,
whose end closes the pipe LEASH.
"""

from __future__ import annotations

import ipaddress
import os
import resource
import sys
import threading
from collections.abc import Callable
from typing import Any

from hub.alerts import mail, webhook
from hub.alerts.guard import Lookup, Policy, Refused, look_up, networks, resolve
from hub.alerts.parcel import Outcome, Parcel, Result, Task

# More than any answer or library needs; less than what hurts the machine.
MEMORY_BYTES = 1 << 30

SPAWNING = frozenset(
    (
        "os.exec",
        "os.fork",
        "os.forkpty",
        "os.posix_spawn",
        "os.spawn",
        "os.system",
        "pty.spawn",
        "subprocess.Popen",
    )
)


def main() -> None:
    parcel = Parcel.unpack(sys.stdin.read())
    # What a library prints is not an outcome.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _end_with_starter(int(sys.argv[1]))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    outcome = run(parcel, watch=sys.addaudithook)
    out.write(outcome.pack())
    out.flush()
    # Threads of libraries may still wait for something.
    os._exit(0)


def run(
    parcel: Parcel,
    *,
    watch: Callable[[Callable[[str, tuple[Any, ...]], None]], None],
    lookup: Lookup = look_up,
) -> Outcome:
    """Do the errand. Never raises: what went wrong is the outcome."""
    policy = Policy(networks(parcel.networks), parcel.private)
    refusals: list[str] = []
    if parcel.kind == "email" and parcel.task is Task.SEND:
        # The mail server is the operator's own choice.
        policy = Policy(
            (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
        )
    try:
        _load(parcel)
        watch(hook(policy, refusals))
        return _do(parcel, policy, refusals, lookup)
    except Refused as error:
        return Outcome(Result.REFUSED, str(error))
    except webhook.Failed as error:
        if refusals:
            return Outcome(Result.REFUSED, refusals[-1])
        return Outcome(Result.FAILED, str(error), error.status)
    except Exception as error:  # noqa: BLE001 - over a hundred plugins of others
        said = f"The sender failed: {type(error).__name__}."
        return Outcome(Result.FAILED, said)


def hook(policy: Policy, refusals: list[str]) -> Callable[[str, tuple[Any, ...]], None]:
    """Return an audit hook that stops what the policy does not allow."""

    def judge(event: str, args: tuple[Any, ...]) -> None:
        if event in SPAWNING:
            refusals.append("Not allowed: the sender started a program.")
            raise PermissionError(refusals[-1])
        if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            # A connected socket's sendmsg names no address.
            if args[1] is None:
                return
            if why := _refusal(args[1], policy):
                refusals.append(f"Not allowed: {why}.")
                raise PermissionError(refusals[-1])

    return judge


def _refusal(address: object, policy: Policy) -> str | None:
    if not (isinstance(address, tuple) and len(address) >= 2):
        return "a socket of this machine"
    try:
        found = ipaddress.ip_address(str(address[0]).partition("%")[0])
    except ValueError:
        # A name: it would be looked up after the judging.
        return f"{address[0]} is not an address"
    return policy.refusal(found)


def _load(parcel: Parcel) -> None:
    if parcel.kind == "apprise":
        from hub.alerts import services  # noqa: F401 - a tenth of a second for one kind


def _do(parcel: Parcel, policy: Policy, refusals: list[str], lookup: Lookup) -> Outcome:
    if parcel.kind == "apprise":
        from hub.alerts import services

        if parcel.task is Task.CHECK:
            return services.check(parcel, policy)
        return services.send(parcel, refusals)
    if parcel.kind == "email":
        return mail.send(parcel)
    if parcel.task is Task.CHECK:
        target = webhook.parse(parcel.address)
        resolve(target.host, target.port, policy, lookup=lookup)
        return Outcome(Result.SENT, "The address may be reached.")
    body = parcel.payload.encode()
    head = webhook.headers(body, secret=parcel.secret, key=parcel.key)
    status = webhook.post(parcel.address, body, head, policy=policy, lookup=lookup)
    return Outcome(Result.SENT, f"The receiver answered {status}.", status)


def _end_with_starter(leash: int) -> None:
    def wait() -> None:
        os.read(leash, 1)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    main()
