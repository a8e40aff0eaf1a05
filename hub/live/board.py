"""What every machine looks like now, encoded once for everybody."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Set

from hub import log
from hub.live import frames
from hub.live.frames import Card, Reading
from hub.storage.layouts import LayoutInfo
from hub.storage.sample import StoredSample
from hub.storage.summary import Summary, plan

logger = log.get_logger(__name__)


class Board:
    def __init__(self) -> None:
        self.cards: dict[int, Card] = {}
        self._by_id: dict[str, int] = {}
        self._samples: dict[int, StoredSample] = {}
        self._layouts: dict[int, LayoutInfo] = {}
        self._encoded: dict[tuple[str, int], bytes] = {}
        self._encoded_layouts: dict[int, bytes] = {}

    def put(self, samples: Iterable[StoredSample]) -> set[int]:
        """Take samples in; return the machines that look different now.

        Newest is what the hub received last, as an agent sends in order: by its
        own clock a machine would stand still when that clock is set back.
        """
        changed = set()
        for sample in samples:
            kept = self._samples.get(sample.machine)
            if kept is None or _order(sample) > _order(kept):
                self._samples[sample.machine] = sample
                changed.add(sample.machine)
        self._forget(changed)
        return changed

    def name(self, cards: Mapping[int, Card]) -> tuple[set[int], dict[int, Card]]:
        """Put the machines' names in place; return the changed and the gone."""
        changed = {pk for pk, card in cards.items() if self.cards.get(pk) != card}
        gone = {pk: card for pk, card in self.cards.items() if pk not in cards}
        self.cards = dict(cards)
        self._by_id = {card.machine_id: pk for pk, card in self.cards.items()}
        for pk in gone:
            self._samples.pop(pk, None)
        self._forget(changed | gone.keys())
        return changed, gone

    def find(self, machine_id: str) -> int | None:
        return self._by_id.get(machine_id)

    def lacks(self, layouts: Iterable[int]) -> set[int]:
        return set(layouts) - self._layouts.keys()

    def learn(self, layouts: Iterable[LayoutInfo]) -> None:
        self._layouts.update((layout.id, layout) for layout in layouts)

    @property
    def layouts(self) -> Set[int]:
        return self._layouts.keys()

    def tidy(self) -> None:
        """Let go of samples without a machine, and of layouts without a sample."""
        for stranger in self._samples.keys() - self.cards.keys():
            del self._samples[stranger]
        used = {sample.layout for sample in self._samples.values()}
        for unused in self._layouts.keys() - used:
            del self._layouts[unused]
            self._encoded_layouts.pop(unused, None)

    def state(self, view: str, pk: int) -> bytes:
        """Return a machine's complete state as JSON."""
        known = self._encoded.get((view, pk))
        if known is None:
            known = frames.state(view, self.cards[pk], self._reading(pk))
            self._encoded[view, pk] = known
        return known

    def layout_of(self, pk: int) -> int | None:
        sample = self._samples.get(pk)
        return None if sample is None else sample.layout

    def layout(self, layout_id: int) -> bytes:
        """Return a layout that some machine uses as JSON."""
        known = self._encoded_layouts.get(layout_id)
        if known is None:
            series = self._layouts[layout_id].series
            known = frames.layout(
                (one.metric, one.unit, one.attributes) for one in series
            )
            self._encoded_layouts[layout_id] = known
        return known

    def _reading(self, pk: int) -> Reading | None:
        sample = self._samples.get(pk)
        if sample is None:
            return None
        return Reading(
            time_ms=sample.time_ms,
            seen_ms=sample.received_ms,
            summary=self._summary(sample),
            layout=sample.layout,
            values=sample.values,
        )

    def _summary(self, sample: StoredSample) -> Summary | None:
        try:
            return plan(self._layouts[sample.layout]).read(sample.values)
        except struct.error:
            logger.error("live.vector_has_wrong_length", machine=sample.machine)
            return None

    def _forget(self, pks: Iterable[int]) -> None:
        for pk in pks:
            for view in frames.VIEWS:
                self._encoded.pop((view, pk), None)


def _order(sample: StoredSample) -> tuple[int, int]:
    return sample.received_ms, sample.sequence
