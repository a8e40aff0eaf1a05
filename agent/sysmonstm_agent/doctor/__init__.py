"""`sysmonstm-agent doctor`: look at what could keep samples from the hub.

    here    settings, credential, what can be measured, spool, disk, an agent
    there   name, port, TLS, the hub's answer, its clock, what it thinks of us

Nothing is changed by it, and an agent that runs is not disturbed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable

from sysmonstm_agent.commands import Parsers, add_json, add_parser, as_owner
from sysmonstm_agent.config import Config
from sysmonstm_agent.doctor import here, there
from sysmonstm_agent.doctor.finding import Finding, fail


def add(parsers: Parsers[argparse.ArgumentParser]) -> None:
    add_json(add_parser(parsers, "doctor"))


def run(options: argparse.Namespace, config: Config) -> int:
    as_owner(config.state_dir)
    return tell(options, [*here.look(config), *there.look(config)])


def misconfigured(options: argparse.Namespace, sentence: str) -> int:
    return tell(options, [fail("settings", sentence)])


def tell(options: argparse.Namespace, findings: Iterable[Finding]) -> int:
    found = list(findings)
    if options.json:
        text = json.dumps([finding._asdict() for finding in found], indent=2)
    else:
        width = max(len(finding.what) for finding in found)
        text = "\n".join(f"{f.level:<4}  {f.what:<{width}}  {f.text}" for f in found)
    sys.stdout.write(text + "\n")
    return int(any(finding.level == "FAIL" for finding in found))
