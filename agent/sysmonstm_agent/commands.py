"""The sub-commands, each a module of its own that is loaded when it is called.

A module has `add(parsers)`, which makes its parser, and `run(options, config)`,
which returns the exit code. One that has `misconfigured(options, sentence)` is
called with that where the settings make no sense.
"""

from __future__ import annotations

import argparse
import importlib
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Protocol, cast

from sysmonstm_agent.config import Config
from sysmonstm_agent.variables import PLAINTEXT, SETTINGS

Parsers = argparse._SubParsersAction

COMMANDS: Mapping[str, tuple[str, str]] = {
    "enrol": ("enrol", "make this machine known to a hub"),
    "doctor": ("doctor", "look at what could keep samples from the hub, and say it"),
    "spool": ("spool_report", "print what waits for the hub, also while an agent runs"),
    "push": ("push", "hand a value of your own to the agent of this machine"),
    "uninstall": ("uninstall", "tell the hub goodbye, and remove what the agent kept"),
}


class Command(Protocol):
    def add(self, parsers: Parsers[argparse.ArgumentParser]) -> None: ...

    def run(self, options: argparse.Namespace, config: Config) -> int: ...


def command(name: str) -> Command:
    module, _ = COMMANDS[name]
    return cast(Command, importlib.import_module(f"sysmonstm_agent.{module}"))


def add_commands(made: argparse.ArgumentParser, words: Collection[str]) -> None:
    """Add all, but in full only those that are among the words of the call."""
    parsers = made.add_subparsers(dest="command", metavar="command", title="commands")
    for name, (_, text) in COMMANDS.items():
        if name in words:
            command(name).add(parsers)
        else:
            parsers.add_parser(name, help=text)


def add_parser(
    parsers: Parsers[argparse.ArgumentParser], name: str, *without: str
) -> argparse.ArgumentParser:
    """Make a command's parser, with the settings' flags but for some."""
    _, text = COMMANDS[name]
    made = parsers.add_parser(name, help=text, description=f"{text.capitalize()}.")
    add_settings(made, *without, default=argparse.SUPPRESS)
    return made


def add_json(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="as JSON"
    )


def add_settings(
    made: argparse.ArgumentParser, *without: str, default: str | None = None
) -> None:
    group = made.add_argument_group("settings")
    for setting in SETTINGS:
        if setting.flag in without:
            continue
        text = f"{setting.help} [{setting.variable}]"
        if setting is PLAINTEXT:
            group.add_argument(
                setting.flag,
                dest=setting.variable,
                action="store_const",
                const="true",
                default=default,
                help=text,
            )
        else:
            group.add_argument(
                setting.flag,
                dest=setting.variable,
                metavar="…",
                default=default,
                help=text,
            )


def as_owner(folder: Path) -> None:
    """As root, go on as the user that the agent runs as: that owns the folder.

    What it has planted there can then lead nowhere that it could not go itself.
    """
    if os.geteuid() != 0 or not folder.is_dir() or folder.is_symlink():
        return
    owner = folder.stat()
    if owner.st_uid == 0 or not may_read_python(owner.st_uid):
        return
    os.setgroups([])
    os.setgid(owner.st_gid)
    os.setuid(owner.st_uid)


def may_read_python(user: int) -> bool:
    """Whether this program could go on: it loads parts of itself when they are used."""
    os.seteuid(user)
    try:
        return os.access(os.__file__, os.R_OK, effective_ids=True)
    finally:
        os.seteuid(0)
