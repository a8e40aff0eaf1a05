"""A program that measures one machine and streams what it reads to a hub.

Read in the order that a reading travels:

    collectors/   one file each: what the kernel says becomes readings
                  (containers/, drives/ and dbus are what some of them ask;
                  background asks what may be slow)
    registry      which collectors there are
    sampler       the one place that runs them, times them, survives them
    layout        readings become a vector over an ordered list of series
    spool         samples wait here until the hub has them  (memory_spool)
    stream        one conversation with the hub: resume, send, hear the acks
    processes/    beside it: which processes were busy, for when the hub asks
    client        one conversation after another, for ever  (backoff)
    channel       the line it takes: TLS to the hub that was meant, or none
    identity      what is shown there: credential on disk  (credential, rotate)

`agent` puts these together for `__main__`; `report` prints a sample for people.
`command_line` hears what a person says; `commands` lists what may be called:
enrol (trust), doctor, uninstall.
Threads measure and an event loop sends: neither ever waits for the other.
"""

from __future__ import annotations

__version__ = "0.1.0"
