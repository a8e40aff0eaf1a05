"""Send a parcel by a process of its own, which cannot outlive its time or us."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

from django.conf import settings

from hub.alerts.parcel import Outcome, Parcel, Result
from hub.log import get_logger

# All of it: starting, resolving, connecting, sending, the answer.
DEADLINE_S = 20.0

# Nothing of the hub's secrets; a proxy would connect where nobody judges.
KEPT = ("PATH", "LANG", "LC_ALL", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")

log = get_logger(__name__)


def carry(
    parcel: Parcel,
    *,
    deadline_s: float = DEADLINE_S,
    program: Sequence[str] = (sys.executable, "-m", "hub.alerts.errand"),
    environment: Mapping[str, str] = os.environ,
) -> Outcome:
    """Return what became of the parcel. Never raises; blocks up to the deadline."""
    leash, held = os.pipe()
    try:
        with subprocess.Popen(
            (*program, str(leash)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            pass_fds=(leash,),
            cwd=settings.BASE_DIR,
            env={name: environment[name] for name in KEPT if name in environment},
            # Ctrl-C in a terminal is the hub's to handle.
            start_new_session=True,
        ) as sender:
            try:
                out, _ = sender.communicate(parcel.pack(), timeout=deadline_s)
            finally:
                sender.kill()
        return Outcome.unpack(out)
    except subprocess.TimeoutExpired:
        said = f"Nothing came of it within {deadline_s:g} s."
        return Outcome(Result.FAILED, said)
    except (OSError, ValueError, KeyError) as error:
        log.exception("courier.failed", kind=parcel.kind)
        return Outcome(Result.FAILED, f"The sender failed: {type(error).__name__}.")
    finally:
        for end in (leash, held):
            with suppress(OSError):
                os.close(end)
