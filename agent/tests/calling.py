"""Call a sub-command as the command line would, within this process."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from sysmonstm_agent.command_line import flags, misconfigured, parser
from sysmonstm_agent.commands import command
from sysmonstm_agent.config import BadConfig, load
from sysmonstm_agent.service import refuse
from sysmonstm_agent.spool import SpoolRefused


class Ended(NamedTuple):
    code: int
    out: str
    err: str


Call = Callable[..., Ended]


def calling(state: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    """Return what runs a command with this state folder."""

    def call(*words: str, **environment: str) -> Ended:
        capsys.readouterr()
        options = parser(list(words)).parse_args(words)
        given = {"COLLECTOR_STATE_DIR": str(state), "COLLECTOR_MACHINE_ID": "web-1"}
        code = run(options, {**given, **environment, **flags(options)})
        return Ended(code, *capsys.readouterr())

    return call


def run(options: argparse.Namespace, environment: dict[str, str]) -> int:
    try:
        return command(options.command).run(options, load(environment))
    except SpoolRefused as refused:
        return refuse(str(refused))
    except BadConfig as refused:
        return misconfigured(options, str(refused))
