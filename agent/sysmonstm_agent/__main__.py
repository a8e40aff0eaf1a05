"""The command `sysmonstm-agent`.

Exit codes: 0 = ended as asked, 1 = it did not go well, 2 = told something that
makes no sense.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys

from sysmonstm_agent import __version__
from sysmonstm_agent.commands import add_commands, add_settings, command
from sysmonstm_agent.config import BadConfig, Config, load
from sysmonstm_agent.log import configure
from sysmonstm_agent.spool import SpoolRefused
from sysmonstm_agent.variables import SETTINGS


def main(arguments: list[str] | None = None) -> int:
    # Until there is something to end in good order, Ctrl-C is no traceback, and
    # neither is `--once | head`.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    words = sys.argv[1:] if arguments is None else arguments
    options = parser(words).parse_args(words)
    try:
        config = load(os.environ | flags(options))
    except BadConfig as error:
        return misconfigured(options, str(error))
    # What a command has to say it prints.
    level = "error" if options.command else config.log_level
    configure(level=level, style=config.log_format, machine=config.machine_id)
    try:
        if options.command:
            return command(options.command).run(options, config)
        if options.once or options.json:
            return once(options, config)
        return measure(config)
    except (BadConfig, SpoolRefused) as refused:
        return refuse(str(refused))


def once(options: argparse.Namespace, config: Config) -> int:
    from sysmonstm_agent import report

    sys.stdout.write(report.once(config, as_json=options.json) + "\n")
    return 0


def measure(config: Config) -> int:
    # What writes to a log that is gone must not end what measures.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    leave_openssl_out()
    # asyncio and grpc are two thirds of the agent's memory and time to start, and
    # only this needs them.
    from sysmonstm_agent.agent import run
    from sysmonstm_agent.channel import refuse_plaintext

    refuse_plaintext(config)
    run(config)
    return 0


def flags(options: argparse.Namespace) -> dict[str, str]:
    """Return what was said by flags, under the names of the variables."""
    said = {s.variable: getattr(options, s.variable, None) for s in SETTINGS}
    return {variable: text for variable, text in said.items() if text is not None}


def misconfigured(options: argparse.Namespace, sentence: str) -> int:
    if options.command:
        tell = getattr(command(options.command), "misconfigured", None)
        if tell is not None:
            code: int = tell(options, sentence)
            return code
    return refuse(sentence)


def refuse(sentence: str) -> int:
    sys.stderr.write(f"sysmonstm-agent: {sentence}\n")
    return 2


def leave_openssl_out() -> None:
    """Save 4 MB: asyncio loads OpenSSL where it can, and nothing here uses it.

    grpc brings its own TLS. asyncio is written to do without.
    """
    sys.modules.setdefault("ssl", None)  # type: ignore[arg-type]


def parser(words: list[str]) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="sysmonstm-agent",
        description="Measures this machine and streams it to a sysmonstm hub.",
        epilog="Each setting's flag mirrors an environment variable; the flag wins.",
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
    add_settings(made)
    add_commands(made, words)
    return made


if __name__ == "__main__":
    sys.exit(main())
