"""/proc/meminfo, which memory and swap both read."""

from __future__ import annotations

import re

from sysmonstm_agent.files import Files

# A tenth of the file, which is read twice with each tick.
WANTED = re.compile(
    r"^(MemTotal|MemFree|MemAvailable|Buffers|Cached|SReclaimable|SwapTotal|SwapFree)"
    r": +(\d+) kB$",
    re.MULTILINE,
)


def meminfo(files: Files) -> dict[str, float]:
    """Return the sizes in bytes, by the kernel's names."""
    found = WANTED.findall(files.proc("meminfo"))
    return {name: float(number) * 1024 for name, number in found}
