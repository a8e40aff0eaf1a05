"""Every reading of a machine, arranged for people: the current-state table.

A layout says only which series there are; `sections` says which belong together
and what they are called. A metric that nobody thought of still
appears, under "Other". Each cell knows its place in the vector, so that the
browser writes new numbers by place alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from hub.storage.layouts import LayoutInfo, SeriesInfo
from hub.web.sections import (
    CORE,
    CORES,
    NAMES,
    OTHER,
    SECTIONS,
    SHOWN_AS,
    WORDS,
    Section,
)
from hub.web.templatetags import units


class Cell(NamedTuple):
    place: int
    unit: str
    number: str
    mark: str


@dataclass(slots=True)
class Group:
    """One section of a machine: columns and rows, or with no columns pairs."""

    title: str
    heading: str
    columns: list[str] = field(default_factory=list)
    rows: dict[str, dict[str, Cell]] = field(default_factory=dict)
    # Of the columns, by which they are sorted.
    ranks: list[int] = field(default_factory=list)

    def arrange(self) -> None:
        pairs = sorted(zip(self.ranks, self.columns, strict=True), key=lambda p: p[0])
        self.columns = [column for _, column in pairs]

    @property
    def is_long(self) -> bool:
        """Whether the pairs need more room than one column of many."""
        return not self.columns and self.title in (CORES.title, OTHER.title)

    @property
    def table(self) -> Iterator[tuple[str, list[Cell | None]]]:
        for name, cells in self.rows.items():
            yield name, [cells.get(column) for column in self.columns]

    @property
    def pairs(self) -> Iterator[tuple[str, Cell]]:
        for name, cells in self.rows.items():
            yield name, next(iter(cells.values()))


def groups(layout: LayoutInfo, values: list[float | None]) -> list[Group]:
    """Arrange a vector into the sections that it has readings for."""
    found: dict[str, Group] = {}
    for place, series in enumerate(layout.series):
        section = _section(series)
        group = found.setdefault(section.title, Group(section.title, section.heading))
        row, column = _where(section, series)
        if column and column not in group.columns:
            group.columns.append(column)
            group.ranks.append(rank(section, series))
        group.rows.setdefault(row, {})[column] = cell(place, series, values[place])
    for group in found.values():
        group.arrange()
    # Short lists first: they flow in columns above the tables.
    order = [section.title for section in (*SECTIONS, OTHER, CORES)]
    return sorted(
        found.values(),
        key=lambda group: (bool(group.columns), order.index(group.title)),
    )


def rank(section: Section, series: SeriesInfo) -> int:
    return list(section.labels).index(series.metric) if section.ordered else 0


def cell(place: int, series: SeriesInfo, value: float | None) -> Cell:
    unit = SHOWN_AS.get(series.metric, series.unit)
    return Cell(place, unit, *units.parts(value, unit))


def _section(series: SeriesInfo) -> Section:
    if any(key == CORE for key, _ in series.attributes):
        return CORES
    for section in SECTIONS:
        if section.takes(series):
            return section
    return OTHER


def _where(section: Section, series: SeriesInfo) -> tuple[str, str]:
    """Return the row and column a series belongs to; no column in pairs."""
    attributes = dict(series.attributes)
    if section is CORES:
        return f"Core {attributes[CORE]}", ""
    if section is OTHER:
        told = ", ".join(attributes.values())
        return f"{series.metric} {told}".strip(), ""
    label = section.labels[series.metric]
    told = attributes.get(label.attribute or "cpu.mode", "")
    told = WORDS.get(series.metric, {}).get(told, told)
    text = (
        f"{label.text} {told}" if label.attribute and label.text else told or label.text
    )
    # Ours begin with a capital; what a sensor calls itself stays as it is.
    if label.attribute not in NAMES:
        text = text[:1].upper() + text[1:]
    if not section.entity:
        return text, ""
    names = (attributes.get(key, "") for key in section.entity.split())
    return " ".join(names).strip(), text
