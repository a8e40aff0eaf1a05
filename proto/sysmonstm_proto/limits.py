"""The bounds that `metrics.proto` states, for both sides to check."""

from __future__ import annotations

MAX_MESSAGE_BYTES = 1024 * 1024
MAX_SERIES = 2_000
MAX_ATTRIBUTES = 64
MAX_TEXT_BYTES = 128
MAX_HELP_BYTES = 512
SPOOL_EPOCH_BYTES = 16
MAX_PROCESSES = 30
MAX_COMMAND_BYTES = 256
# In the answer to ListProcesses.
MAX_LISTED_PROCESSES = 1_000
MAX_LABELS = 64
MAX_SKIPS = 100
MIN_INTERVAL_S, MAX_INTERVAL_S = 1, 300
MAX_LEASE_S = 60
# A sample outside [now - MAX_AGE_S, now + MAX_AHEAD_S] by the hub's clock is refused.
MAX_AGE_S = 7 * 24 * 3600
MAX_AHEAD_S = 5 * 60
# Samples under way without an acknowledgement, unless Welcome says otherwise.
DEFAULT_WINDOW = 256
