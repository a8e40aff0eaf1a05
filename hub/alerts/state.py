"""How an alert lives: ok → pending → firing → resolved, which is ok again.

Pure: a state and a reading give the next state and, at most, one happening.
Moments are milliseconds of whichever clock the caller keeps to; a reading that is
not newer than the last one changes nothing.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from hub.alerts.conditions import Reading
from hub.alerts.spec import NoData, Severity, Spec

# A series whose alert opens again within this time of its end is flapping: each
# time it must be clear for twice as long before the alert ends, up to the cap.
# What flaps every minute is thus a handful of alerts and then one long one.
FLAPPING_MS = 3_600_000
FLAPPING_FLOOR_MS = 30_000
FLAPPING_CAP_MS = 3_600_000


class Phase(StrEnum):
    OK = "ok"
    PENDING = "pending"
    FIRING = "firing"


class Happening(StrEnum):
    OPENED = "opened"
    ESCALATED = "escalated"
    EASED = "eased"
    RESOLVED = "resolved"


class State(NamedTuple):
    """Of one rule and one series. `…_since_ms`: without a break since then.

    A tuple, because back-tests make thousands: a dataclass takes four times as long.
    """

    phase: Phase = Phase.OK
    # Of the alert, while it is firing.
    severity: Severity = Severity.NONE
    last_ms: int = 0
    breach_since_ms: int | None = None
    critical_since_ms: int | None = None
    # While firing critically: below critical since.
    eased_since_ms: int | None = None
    clear_since_ms: int | None = None
    resolved_ms: int | None = None
    # How often it opened again soon after its end.
    flaps: int = 0


REST = State()
Stepped = tuple[State, Happening | None]


def step(
    spec: Spec, state: State, reading: Reading | None, at_ms: int, *, gap_ms: int
) -> Stepped:
    """Return what a reading makes of a state. `reading` None = no data.

    After more than `gap_ms` without a reading nobody knows what was between:
    whatever must last begins anew.
    """
    if at_ms <= state.last_ms:
        return state, None
    if reading is None:
        reading = _without_data(spec)
        if reading is None:
            return state, None
    if at_ms - state.last_ms > gap_ms:
        state = _broken(state, at_ms)
    if state.phase is Phase.FIRING:
        return _firing(spec, state, reading, at_ms)
    return _not_firing(spec, state, reading, at_ms)


def ended(state: State, at_ms: int) -> State:
    """Return the state after an alert that ends for another reason than its value."""
    return State(resolved_ms=at_ms, last_ms=at_ms, flaps=state.flaps)


def is_at_rest(state: State, at_ms: int) -> bool:
    """Tell whether a state may be forgotten: it says nothing any more."""
    if state.phase is not Phase.OK:
        return False
    return state.resolved_ms is None or at_ms - state.resolved_ms > FLAPPING_MS


def _not_firing(spec: Spec, state: State, reading: Reading, at_ms: int) -> Stepped:
    if reading.severity is Severity.NONE:
        return _broken(state, at_ms), None
    state = state._replace(
        phase=Phase.PENDING,
        last_ms=at_ms,
        breach_since_ms=_since(state.breach_since_ms, at_ms),
        critical_since_ms=_critical(state, reading, at_ms),
    )
    for_ms = spec.for_s * 1000
    assert state.breach_since_ms is not None
    if at_ms - state.breach_since_ms < for_ms:
        return state, None
    severity = spec.mildest
    if _lasts(state.critical_since_ms, at_ms, for_ms):
        severity = Severity.CRITICAL
    soon = state.resolved_ms is not None and at_ms - state.resolved_ms <= FLAPPING_MS
    opened = state._replace(
        phase=Phase.FIRING,
        severity=severity,
        flaps=state.flaps + 1 if soon else 0,
        resolved_ms=None,
    )
    return opened, Happening.OPENED


def _firing(spec: Spec, state: State, reading: Reading, at_ms: int) -> Stepped:
    eased_ms = clear_ms = None
    if reading.severity is not Severity.CRITICAL:
        eased_ms = _since(state.eased_since_ms, at_ms)
    if reading.is_clear:
        clear_ms = _since(state.clear_since_ms, at_ms)
    state = State(
        Phase.FIRING,
        state.severity,
        at_ms,
        state.breach_since_ms,
        _critical(state, reading, at_ms),
        eased_ms,
        clear_ms,
        state.resolved_ms,
        state.flaps,
    )
    calm_ms = settling_ms(spec, state.flaps)
    if _lasts(state.clear_since_ms, at_ms, calm_ms):
        flaps = state.flaps
        return State(last_ms=at_ms, resolved_ms=at_ms, flaps=flaps), Happening.RESOLVED
    if state.severity is Severity.WARNING:
        if _lasts(state.critical_since_ms, at_ms, spec.for_s * 1000):
            return state._replace(severity=Severity.CRITICAL), Happening.ESCALATED
    elif reading.severity is Severity.WARNING and _lasts(
        state.eased_since_ms, at_ms, calm_ms
    ):
        return state._replace(severity=Severity.WARNING), Happening.EASED
    return state, None


def settling_ms(spec: Spec, flaps: int) -> float:
    """Return for how long it must be better before the alert says so."""
    asked = spec.clear_for_s * 1000
    if not flaps:
        return asked
    # Beyond the tenth doubling every start is at the cap.
    damped = max(asked, FLAPPING_FLOOR_MS) * float(1 << min(flaps, 10))
    return max(asked, min(damped, FLAPPING_CAP_MS))


def _without_data(spec: Spec) -> Reading | None:
    if spec.no_data is NoData.FIRE:
        return Reading(float("nan"), spec.mildest, is_clear=False)
    if spec.no_data is NoData.RESOLVE:
        return Reading(float("nan"), Severity.NONE, is_clear=True)
    return None


def _broken(state: State, at_ms: int) -> State:
    """Return the state with all that must last begun anew."""
    phase = Phase.OK if state.phase is Phase.PENDING else state.phase
    return State(
        phase,
        state.severity,
        at_ms,
        resolved_ms=state.resolved_ms,
        flaps=state.flaps,
    )


def _critical(state: State, reading: Reading, at_ms: int) -> int | None:
    if reading.severity is not Severity.CRITICAL:
        return None
    return _since(state.critical_since_ms, at_ms)


def _since(since_ms: int | None, at_ms: int) -> int:
    return at_ms if since_ms is None else since_ms


def _lasts(since_ms: int | None, at_ms: int, needed_ms: float) -> bool:
    return since_ms is not None and at_ms - since_ms >= needed_ms
