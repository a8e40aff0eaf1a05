"""Which spool an agent gets, by its settings."""

from __future__ import annotations

from sysmonstm_agent.config import Config
from sysmonstm_agent.memory_spool import MemorySpool
from sysmonstm_agent.spool import Spool, SpoolRefused
from sysmonstm_agent.spool_folder import SpoolFolder, folder_name


def folder_of(config: Config) -> SpoolFolder | None:
    """Return where the spool lies, None = in memory."""
    if config.spool_base is None:
        return None
    name = folder_name(config.machine_id, config.target)
    return SpoolFolder(config.spool_base / name)


def open_spool(config: Config) -> Spool:
    """Raises SpoolRefused where the spool must not be used, or never could be."""
    folder = folder_of(config)
    if folder is None:
        return MemorySpool()
    if config.spool_named:
        try:
            folder.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except (PermissionError, NotADirectoryError, FileExistsError) as error:
            raise SpoolRefused(
                f"the spool's folder {folder.path.parent} cannot be made:"
                f" {error.strerror}."
            ) from None
    # SQLite takes 1 MB of memory, which an agent without a spool on disk saves.
    from sysmonstm_agent.disk_spool import DiskSpool
    from sysmonstm_agent.spool_file import Bounds

    bounds = Bounds(size_bytes=config.spool_max_bytes, age_s=config.spool_max_age_s)
    return DiskSpool(folder, bounds)
