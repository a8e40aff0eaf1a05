"""What the agent does for as long as it runs, when nothing else is asked of it."""

from __future__ import annotations

import os
import signal
import sys

from sysmonstm_agent.config import Config


def measure(config: Config) -> int:
    # What writes to a log that is gone must not end what measures.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    leave_openssl_out()
    wake_few_threads()
    # asyncio and grpc are two thirds of the agent's memory and time to start, and
    # only this needs them.
    from sysmonstm_agent.agent import run
    from sysmonstm_agent.channel import refuse_plaintext

    refuse_plaintext(config)
    run(config)
    return 0


def refuse(sentence: str) -> int:
    sys.stderr.write(f"sysmonstm-agent: {sentence}\n")
    return 2


def leave_openssl_out() -> None:
    """Save 4 MB: asyncio loads OpenSSL where it can, and nothing here uses it.

    grpc brings its own TLS. asyncio is written to do without.
    """
    sys.modules.setdefault("ssl", None)  # type: ignore[arg-type]


def wake_few_threads() -> None:
    """Have grpc poll in the thread that waits, as it did for years.

    Its newer engine has a thread for each core, up to 16, and each that had something
    to do wakes twenty times before it rests: on 16 cores two fifths of all that an
    agent costs. A grpc that no longer knows the word says so in one line.
    """
    os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_client")
