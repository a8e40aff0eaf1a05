"""Real services and real processes, for tests and benches only.

progress    say what is being done while a slow program runs
packages    Debian packages unpacked into a folder, without root
install     PostgreSQL + TimescaleDB, Redis and Chromium into .services/
processes   start a program, wait for it to speak, stop exactly it
patience    how long a test waits for what it expects
calls       how gRPC's streams end, as a client hears it
services    a private PostgreSQL or Redis for as long as a `with` lasts
oracle      a judge that stands outside: breaks everything, counts every sample
mutants     one deliberate fault for each invariant, and the test that sees it
plugin      the pytest plugin: one suite, two kinds of services
lanes       which worker of a parallel run is given which file
prepared    migrated databases, made once in a run and copied
"""
