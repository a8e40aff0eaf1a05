"""Rules watch events; people are told.

In the order of a sample's way:

    watch       samples from the bus, in this process's share of the machines
    plan        which rules look at which places of a layout
    conditions  a value against a rule's thresholds
    state       ok → pending → firing → resolved
    ledger      what changed becomes rows, in one transaction with the position
    outbox      … and something to tell

Pure, without the database: spec, matchers, quantities, conditions, state, plan,
history, lateness, silence, trend. The back-test runs the same code over stored tiers.
"""
