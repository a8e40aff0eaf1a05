"""What is said to the command by words: flags, and commands of their own."""

from __future__ import annotations

import argparse
import os
import sys

from sysmonstm_agent import __version__
from sysmonstm_agent.commands import add_commands, add_settings, command
from sysmonstm_agent.config import BadConfig, Config, load
from sysmonstm_agent.log import configure
from sysmonstm_agent.service import measure, refuse
from sysmonstm_agent.spool import SpoolRefused
from sysmonstm_agent.variables import SETTINGS


def obey(words: list[str]) -> int:
    """Return the exit code."""
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
