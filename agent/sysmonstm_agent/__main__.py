"""The command `sysmonstm-agent`.

Exit codes: 0 = ended as asked, 1 = it did not go well, 2 = told something that
makes no sense.
"""

from __future__ import annotations

import os
import signal
import sys

from sysmonstm_agent.config import BadConfig, load
from sysmonstm_agent.log import configure
from sysmonstm_agent.service import measure, refuse
from sysmonstm_agent.spool import SpoolRefused


def main(arguments: list[str] | None = None) -> int:
    # Until there is something to end in good order, Ctrl-C is no traceback, and
    # neither is `--once | head`.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    words = sys.argv[1:] if arguments is None else arguments
    if words:
        # A service is started without any, and saves 1 MB of memory.
        from sysmonstm_agent.command_line import obey

        return obey(words)
    try:
        config = load(os.environ)
        configure(
            level=config.log_level, style=config.log_format, machine=config.machine_id
        )
        return measure(config)
    except (BadConfig, SpoolRefused) as refused:
        return refuse(str(refused))


if __name__ == "__main__":
    sys.exit(main())
