"""One deliberate fault, and what must notice it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    invariant: str
    file: str
    old: str
    new: str
    # What must fail: a file of tests, or one test; run where it has its settings.
    test: str
    services: str = "embedded"
