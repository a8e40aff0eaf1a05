"""A hub that hears from many machines.

Read in the order a sample travels:

    rpc       the gRPC server: assembly, authentication, limits
    ingest    the wire becomes batches, batches become durable, then acknowledged
    storage   samples at rest: hot state, raw, the one read API
    events    "this happened", told to whoever listens
    live      browsers watch events
    web, api  what is and was, for people and for programs
    machines  the machines themselves        people   who may look at them
    health    is all of this well?           embedded the whole hub in one process

tests/test_imports.py says who may know whom.
"""

from __future__ import annotations

import gc

# Before anything else loads: with Python's own 700 the collector took a quarter of
# every start, to find nothing in a growing heap of classes and functions.
gc.set_threshold(50_000, 20, 20)
