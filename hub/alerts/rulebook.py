"""The rules as they stand, and which machines each is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from hub.alerts.models import Rule
from hub.alerts.models.rule import Scope
from hub.alerts.plan import Key, Plan
from hub.alerts.spec import Kind, Spec
from hub.machines.models import Machine
from hub.machines.registry import CANARY
from hub.storage.layouts import LayoutInfo


@dataclass(frozen=True)
class Entry:
    rule: Rule
    spec: Spec
    # None: all.
    machines: frozenset[int] | None

    def covers(self, machine: int) -> bool:
        return self.machines is None or machine in self.machines

    @cached_property
    def snapshot(self) -> dict[str, object]:
        return self.rule.snapshot()


@dataclass
class Rulebook:
    entries: Mapping[int, Entry] = field(default_factory=dict)
    # The hub's own test machine, which no rule is about.
    canary: int | None = None
    _plans: dict[tuple[int, tuple[int, ...]], Plan] = field(default_factory=dict)

    def covering(self, machine: int) -> list[Entry]:
        if machine == self.canary:
            return []
        return [entry for entry in self.entries.values() if entry.covers(machine)]

    def of_kind(self, kind: Kind) -> list[Entry]:
        return [entry for entry in self.entries.values() if entry.spec.kind is kind]

    def plan(self, machine: int, layout: LayoutInfo) -> Plan:
        """Return the plan for a machine; alike machines share one."""
        entries = [e for e in self.covering(machine) if e.spec.is_streamed]
        key = layout.id, tuple(entry.spec.rule for entry in entries)
        found = self._plans.get(key)
        if found is None:
            found = Plan((entry.spec for entry in entries), layout)
            self._plans[key] = found
        return found

    def tidy(self, used: Iterable[Plan | None]) -> None:
        """Let go of plans for layouts that no machine sends any more."""
        kept = {id(plan) for plan in used}
        self._plans = {k: plan for k, plan in self._plans.items() if id(plan) in kept}

    def says_the_same(self, other: Rulebook) -> bool:
        return self.canary == other.canary and _said(self) == _said(other)


def load() -> Rulebook:
    """Read the rules that are switched on."""
    rules = Rule.objects.filter(enabled=True).prefetch_related("tags", "machines")
    canary = Machine.objects.filter(machine_id=CANARY).values_list("pk", flat=True)
    return Rulebook(
        {rule.pk: Entry(rule, rule.spec, machines_of(rule)) for rule in rules},
        canary.first(),
    )


def why_over(key: Key, kind: Kind | None) -> str:
    """Say why a rule as it is now has nothing to say of a state; "" = it has."""
    if kind is None:
        return "The rule does not cover it any more."
    # Of a machine's silence there is one state, without a series.
    if (kind is Kind.DOWN) is not (key[1] == ""):
        return "The rule is about something else now."
    return ""


def machines_of(rule: Rule) -> frozenset[int] | None:
    """Return the machines that a stored rule is about; None = all."""
    if rule.scope == Scope.TAGS:
        return _tagged(rule.tags.all().values_list("pk", flat=True))
    if rule.scope == Scope.MACHINES:
        return frozenset(machine.pk for machine in rule.machines.all())
    return None


def _tagged(tags: Iterable[int]) -> frozenset[int]:
    found = Machine.tags.through.objects.filter(tag__in=list(tags))
    return frozenset(found.values_list("machine_id", flat=True))


def _said(book: Rulebook) -> dict[int, object]:
    return {
        number: (entry.spec, entry.machines, entry.rule.name, entry.rule.updated_at)
        for number, entry in book.entries.items()
    }
