"""How many connections agents may have: each is an open file of this process."""

from __future__ import annotations

import resource

# 10,000 machines, and whoever comes for a moment.
MAX_CONNECTIONS = 12_000
# For the database, the pages, the logs: whoever opens connections without end, which
# needs no credential, must not take those.
KEPT_FILES = 700
FEWEST = 100


def make() -> None:
    """Let this process open as many files as it may; shells begin with few."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def connections() -> int:
    """Return how many fit; gRPC closes further ones as they come."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(FEWEST, min(MAX_CONNECTIONS, files - KEPT_FILES))
