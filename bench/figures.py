"""How figures are summed up and printed."""

from __future__ import annotations

import math
from collections.abc import Sequence


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` (0-1) of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def spread(values: Sequence[float], unit: str = "ms") -> str:
    shown = "  ".join(
        f"{name} {percentile(values, share):7.1f}"
        for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
    )
    return f"{shown} {unit}  (n={len(values)})"
