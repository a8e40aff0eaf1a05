"""The settings that were accepted last, for an agent that starts without its hub."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from google.protobuf.message import DecodeError
from sysmonstm_proto import limits
from sysmonstm_proto import metrics_pb2 as pb

from sysmonstm_agent import private_file
from sysmonstm_agent.log import log

NAME = "settings"


class SettingsFile:
    """Lies in the folder of the spool, which only this agent uses and may read."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME

    def load(self) -> pb.AgentConfig:
        """Return what was kept; nothing where there is none that can be read."""
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
            number = os.open(self._path, flags)
        except FileNotFoundError:
            return pb.AgentConfig()
        except OSError as error:
            log.warning("settings.unreadable", trouble=error.strerror)
            return pb.AgentConfig()
        try:
            found = os.fstat(number)
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
                log.warning("settings.unreadable", trouble="it is not this agent's")
                return pb.AgentConfig()
            return pb.AgentConfig.FromString(os.read(number, limits.MAX_MESSAGE_BYTES))
        except (OSError, DecodeError) as error:
            log.warning("settings.unreadable", trouble=str(error))
            return pb.AgentConfig()
        finally:
            os.close(number)

    def keep(self, message: pb.AgentConfig) -> None:
        """Put it in the place of the one before, on the disk. Raises OSError."""
        private_file.replace(self._path, message.SerializeToString())
