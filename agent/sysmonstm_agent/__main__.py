"""The command `sysmonstm-agent`.

Exit codes: 0 = ended as asked, 2 = told something that makes no sense.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys

from sysmonstm_agent import __version__
from sysmonstm_agent.config import SETTINGS, BadConfig, load
from sysmonstm_agent.log import configure
from sysmonstm_agent.spool import SpoolRefused


def main(arguments: list[str] | None = None) -> int:
    # Until there is something to end in good order, Ctrl-C is no traceback, and
    # neither is `--once | head`.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    options = vars(parser().parse_args(arguments))
    flags = {
        s.variable: options[s.variable]
        for s in SETTINGS
        if options[s.variable] is not None
    }
    try:
        config = load(os.environ | flags)
    except BadConfig as error:
        return refuse(str(error))
    configure(
        level=config.log_level, style=config.log_format, machine=config.machine_id
    )
    if options["spool"]:
        from sysmonstm_agent import spool_report

        try:
            text = spool_report.report(config, as_json=options["json"])
        except SpoolRefused as refused:
            return refuse(str(refused))
        sys.stdout.write(text + "\n")
        return 0
    if options["once"] or options["json"]:
        from sysmonstm_agent import report

        sys.stdout.write(report.once(config, as_json=options["json"]) + "\n")
        return 0
    # What writes to a log that is gone must not end what measures.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    leave_openssl_out()
    # asyncio and grpc are two thirds of the agent's memory and time to start, and
    # only this needs them.
    from sysmonstm_agent.agent import run

    try:
        run(config)
    except SpoolRefused as refused:
        return refuse(str(refused))
    return 0


def refuse(sentence: str) -> int:
    sys.stderr.write(f"sysmonstm-agent: {sentence}\n")
    return 2


def leave_openssl_out() -> None:
    """Save 4 MB: asyncio loads OpenSSL where it can, and nothing here uses it.

    grpc brings its own TLS. asyncio is written to do without.
    """
    sys.modules.setdefault("ssl", None)  # type: ignore[arg-type]


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="sysmonstm-agent",
        description="Measures this machine and streams it to a sysmonstm hub.",
        epilog="Each flag mirrors an environment variable; the flag wins.",
    )
    made.add_argument(
        "--version", action="version", version=f"sysmonstm-agent {__version__}"
    )
    made.add_argument(
        "--once", action="store_true", help="print one sample, without a hub, and end"
    )
    made.add_argument(
        "--json", action="store_true", help="the same as JSON (implies --once)"
    )
    made.add_argument(
        "spool",
        nargs="?",
        choices=["spool"],
        help="print what waits for the hub, also while an agent runs, and end",
    )
    for setting in SETTINGS:
        made.add_argument(
            setting.flag,
            dest=setting.variable,
            metavar="…",
            help=f"{setting.help} [{setting.variable}]",
        )
    return made


if __name__ == "__main__":
    sys.exit(main())
