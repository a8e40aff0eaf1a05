"""A judge that stands outside: real processes, real faults, then every sample counted.

    agent      a real agent whose readings are known beforehand, in its own process
    payload    what those readings are: values = f(machine, lane, tick)
    journal    what an agent wrote down of its own life, before and after the fact
    proxy      the line between agent and hub, which breaks as it is told
    residents  servers that are killed and come back as they were
    world      all of them together
    scenarios  what happens to them
    judge      pure: journals and stored rows in, faults of the system out
    ledger     what is printed in the end

    python -m hub.testing.oracle [--long] [--seed N] [--only NAME …]

It uses nothing of the hub but its commands, its port and its tables.
"""
