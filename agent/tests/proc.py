"""A /proc with the processes that a test writes down."""

from __future__ import annotations

from pathlib import Path

from sysmonstm_agent.files import Files
from sysmonstm_agent.processes.table import PAGE_BYTES, TICKS_PER_S

BOOTED_S = 1_700_000_000


class Proc:
    """`has` says how a process stands now."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "stat").write_text(f"cpu 1 2 3 4\nbtime {BOOTED_S}\n")
        (root / "meminfo").write_text("MemTotal: 1048576 kB\n")
        self.files = Files(str(root), linux=True)

    def has(
        self,
        pid: int,
        name: str = "busy",
        *,
        cpu_s: float = 0,
        memory: int = 0,
        command: str = "",
        started_s: float = 100,
        state: str = "S",
        io: tuple[int, int] | None = None,
    ) -> None:
        folder = self.root / str(pid)
        folder.mkdir(exist_ok=True)
        fields = ["0"] * 50
        fields[0], fields[11] = state, str(round(cpu_s * TICKS_PER_S))
        fields[19] = str(round(started_s * TICKS_PER_S))
        fields[21] = str(memory // PAGE_BYTES)
        (folder / "stat").write_text(f"{pid} ({name}) {' '.join(fields)}\n")
        (folder / "cmdline").write_bytes(command.replace(" ", "\0").encode() + b"\0")
        if io is not None:
            read, write = io
            (folder / "io").write_text(
                f"rchar: 1\nread_bytes: {read}\nwrite_bytes: {write}\n"
            )
