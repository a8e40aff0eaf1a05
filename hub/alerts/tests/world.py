"""A fleet, rules and a hand-moved clock around real engines and a real database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hub.alerts.engine import Engine, Turn
from hub.alerts.models import Alert, Rule
from hub.alerts.state import Happening
from hub.alerts.tests.scenes import CPU, disk, series, vector
from hub.machines.models import Machine
from hub.storage import layouts
from hub.storage.hot import get_hot
from hub.storage.layouts import LayoutInfo
from hub.storage.sample import StoredSample

# 2026-03-01 12:00:00 UTC
NOON_MS = 1_772_366_400_000


@dataclass
class World:
    now_ms: int = NOON_MS
    told: list[tuple[str, Happening]] = field(default_factory=list)
    _sequence: int = 0

    def __post_init__(self) -> None:
        self.layout = layouts.learn([series(CPU), disk("/"), disk("/data")])
        self.engine = self.start()

    def start(self) -> Engine:
        return Engine(clock=lambda: self.now_ms)

    def restart(self) -> None:
        """End the engine as a crash does: nothing is written, nothing given up."""
        name = self.engine.name
        self.engine = self.start()
        # The lease of the dead is over; the database's clock cannot be moved.
        bury(name)

    def machine(self, name: str = "web-1", **said: Any) -> Machine:
        return Machine.objects.create(machine_id=name, interval_s=5, **said)

    def rule(self, **said: Any) -> Rule:
        fields: dict[str, Any] = {
            "name": "CPU is busy",
            "metric": CPU,
            "operator": "gt",
            "warning": 0.8,
            "clear_for_s": 0,
        }
        return Rule.objects.create(**fields | said)

    def sample(
        self,
        machine: Machine,
        *values: float,
        late_s: float = 0,
        layout: LayoutInfo | None = None,
    ) -> StoredSample:
        """Return a sample that was taken `late_s` ago and came this moment."""
        self._sequence += 1
        full = [*values, 0.1, 0.1, 0.1][: len((layout or self.layout).series)]
        found = StoredSample(
            machine.pk,
            (layout or self.layout).id,
            self._sequence,
            self.now_ms - round(late_s * 1000),
            self.now_ms,
            vector(*full),
        )
        get_hot().put([found])
        return found

    def turn(self, *samples: StoredSample, rules_changed: bool = False) -> None:
        happened = self.engine.turn(Turn(samples, rules_changed=rules_changed))
        self.told += [(alert.rule_name, happening) for alert, happening in happened]

    def tick(self, *machines: Machine, cpu: float = 0.1, every_s: float = 5) -> None:
        """Let one interval pass; each of these machines sends a sample."""
        self.now_ms += round(every_s * 1000)
        self.turn(*[self.sample(machine, cpu) for machine in machines])

    def play(self, machine: Machine, values: Sequence[float]) -> None:
        for value in values:
            self.tick(machine, cpu=value)

    def wait(self, seconds: float, *, step_s: float = 5) -> None:
        for _ in range(round(seconds / step_s)):
            self.now_ms += round(step_s * 1000)
            self.turn()


def bury(name: str) -> None:
    """Let the lease of an engine be over."""
    from hub.alerts import shares

    shares.leave(name)


def open_alerts() -> list[Alert]:
    return list(Alert.objects.filter(state="firing").order_by("pk"))
