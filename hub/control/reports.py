"""What agents say of their settings, kept. Belongs in a thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.utils import timezone

from hub.control.fields import COLLECTOR, MAX_COLLECTORS
from hub.control.models import Standing

MAX_SENTENCES = 32
MAX_SENTENCE_CHARACTERS = 300


def know_collectors(
    standings: Mapping[int, Standing], told: Mapping[int, Sequence[str] | None]
) -> None:
    """Keep which collectors agents have, None = not told; forms offer them."""
    changed = []
    for pk, standing in standings.items():
        if (names := told.get(pk)) is None:
            continue
        good = sorted({name for name in names if COLLECTOR.fullmatch(name)})
        if standing.collectors != (kept := good[:MAX_COLLECTORS]):
            standing.collectors = kept
            changed.append(standing)
    Standing.objects.bulk_update(changed, ["collectors"], batch_size=500)


def report(pk: int, version: int, refused: Sequence[str]) -> None:
    """Keep what became of a version. One that was never sent is not believed."""
    Standing.objects.filter(pk=pk, version__gte=version).update(
        reported_version=version,
        reported_at=timezone.now(),
        refused=lines(refused),
    )


def lines(refused: Sequence[str]) -> list[str]:
    """Return what an agent says of its settings, as short text."""
    sentences = [_line(sentence) for sentence in refused[:MAX_SENTENCES]]
    return [sentence for sentence in sentences if sentence]


def _line(text: str) -> str:
    shown = "".join(one if one.isprintable() else " " for one in text)
    return shown[:MAX_SENTENCE_CHARACTERS].strip()
