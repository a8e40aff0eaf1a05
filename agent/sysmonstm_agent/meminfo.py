"""/proc/meminfo, which memory and swap both read."""

from __future__ import annotations

from sysmonstm_agent.files import Files


def meminfo(files: Files) -> dict[str, float]:
    """Return the sizes in bytes, by the kernel's names."""
    sizes = {}
    for line in files.proc("meminfo").splitlines():
        name, _, rest = line.partition(":")
        number, _, unit = rest.strip().partition(" ")
        if unit == "kB":
            sizes[name] = float(number) * 1024
    return sizes
