"""What both kinds of hot state keep to."""

from __future__ import annotations

RECENT_MS = 5 * 60 * 1000
# A machine at the default five seconds has 60 samples in five minutes. This holds
# the memory of one that ticks faster: the oldest go first.
RECENT_LIMIT = 300

# Snapshots of processes, by when they were taken. A machine may send one a minute
# unasked; the oldest go first.
PROCESSES_MS = 15 * 60 * 1000
PROCESSES_LIMIT = 12

# What a provisional layout says outlives every sample that is kept here.
LAYOUT_MS = 15 * 60 * 1000


class HotDown(Exception):
    """Hot state cannot answer now (temporary): ask the database."""
