"""Which processes used the most, kept for the last ten minutes.

    table      what the kernel says of each process  (portable: psutil)
    masking    command lines without their secrets
    snapshots  two looks become shares, and the first few of each ranking
    ring       what was seen, bounded
    pace       when to look: seldom, at once when something rises, never too dear
    watch      the thread that looks, and what it answers to the hub

By the time an alert opens, what caused it may be gone: hence the ring.
"""

from __future__ import annotations
