"""What `sysmonstm-agent spool` prints, beside an agent that may be running."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from typing import Any

from sysmonstm_agent.commands import Parsers, add_json, add_parser, as_owner
from sysmonstm_agent.config import Config
from sysmonstm_agent.open_spool import folder_of
from sysmonstm_agent.report import binary, duration
from sysmonstm_agent.spool import SpoolRefused
from sysmonstm_agent.spool_database import DiskTrouble
from sysmonstm_agent.spool_file import SpoolFile
from sysmonstm_agent.spool_folder import SIDES, SpoolFolder
from sysmonstm_agent.spool_record import Damaged


def add(parsers: Parsers[argparse.ArgumentParser]) -> None:
    add_json(add_parser(parsers, "spool"))


def run(options: argparse.Namespace, config: Config) -> int:
    as_owner(config.state_dir)
    sys.stdout.write(report(config, as_json=options.json) + "\n")
    return 0


def report(config: Config, *, as_json: bool) -> str:
    folder = folder_of(config)
    if folder is None:
        raise SpoolRefused("the spool is in memory: only the agent itself sees it.")
    found = document(config, folder)
    return json.dumps(found, indent=2) if as_json else table(found)


def document(config: Config, folder: SpoolFolder) -> dict[str, Any]:
    """Return what --json prints; times are ISO 8601, null where there is none."""
    found: dict[str, Any] = {
        "folder": str(folder.path),
        "machine_id": config.machine_id,
        "hub": config.target,
        "agent_pid": folder.holder(),
        "max_size_bytes": config.spool_max_bytes,
        "max_age_s": config.spool_max_age_s,
    }
    if not folder.database.exists():
        return found | {"trouble": "there is no spool yet"}
    folder.check()
    try:
        return found | contents(folder)
    except (Damaged, DiskTrouble) as error:
        return found | {"trouble": str(error)}


def contents(folder: SpoolFolder) -> dict[str, Any]:
    file = SpoolFile(folder.database)
    try:
        state, origin = file.state, file.origin
        oldest, newest = file.times()
        return {
            "epoch": origin.epoch.hex(),
            "produced": state.last,
            "spooled": state.last - state.first + 1,
            "oldest_sequence": state.first if state.first <= state.last else 0,
            "oldest_time": moment(oldest),
            "newest_time": moment(newest),
            "evicted": state.evicted,
            "damaged": state.damaged,
            "lost": origin.lost,
            "size_bytes": sum(
                size_bytes(folder, side) for side in SIDES if side != "-shm"
            ),
            "moved_aside": len(list((folder.path / "damaged").glob("*.db"))),
        }
    finally:
        file.close()


def table(found: dict[str, Any]) -> str:
    pid = found["agent_pid"]
    rows = {
        "folder": found["folder"],
        "hub": found["hub"],
        "agent": "not running" if pid is None else f"running, process {pid}",
    }
    if "trouble" in found:
        return lines(rows | {"state": found["trouble"]})
    limit = " ".join(binary(found["max_size_bytes"], suffix=""))
    age = " ".join(duration(found["max_age_s"]))
    waiting = str(found["spooled"])
    if found["spooled"]:
        waiting += f", from {found['oldest_time']} to {found['newest_time']}"
    rows |= {
        "waiting": waiting,
        "produced": str(found["produced"]),
        "evicted": f"{found['evicted']}, {found['damaged']} of them damaged",
        "lost before": str(found["lost"]),
        "size": f"{' '.join(binary(found['size_bytes'], suffix=''))} of {limit}",
        "kept for": age,
    }
    if found["moved_aside"]:
        rows["moved aside"] = f"{found['moved_aside']} damaged, in damaged/"
    return lines(rows)


def lines(rows: dict[str, str]) -> str:
    width = max(map(len, rows))
    return "\n".join(f"{name:<{width}}  {text}" for name, text in rows.items())


def moment(time_unix_ms: int | None) -> str | None:
    if time_unix_ms is None:
        return None
    try:
        return datetime.fromtimestamp(time_unix_ms / 1000, UTC).isoformat(
            timespec="seconds"
        )
    except (OverflowError, ValueError, OSError):
        return None


def size_bytes(folder: SpoolFolder, side: str) -> int:
    try:
        return folder.database.with_name(folder.database.name + side).stat().st_size
    except OSError:
        return 0
