"""What each machine is to have, kept with a version that grows when it changes.

Everything here asks the database, and so belongs in a thread.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from hub.control.fields import Wanted
from hub.control.merge import Layer, Merged, merge
from hub.control.models import AgentSettings, Rollout, Scope, Standing
from hub.machines.models import Machine

CHUNK = 500
# No hub gives such a version; an agent that claims it lies.
MAX_VERSION = 2**62

Key = tuple[str, int]


def standings(
    pks: Iterable[int], applied: Mapping[int, int] | None = None
) -> dict[int, Standing]:
    """Compile for machines; return where each stands. Unknown ones are absent.

    `applied` is the version that each agent has: ours must not be below it, as
    after a database came back from a backup.
    """
    found: dict[int, Standing] = {}
    for chunk in _chunks(sorted(set(pks))):
        found |= _compile(chunk, applied or {})
    return found


def look(pk: int) -> tuple[Standing, Merged]:
    """Return where a machine will stand, and whose word it is; write nothing."""
    row = Standing.objects.filter(pk=pk).first() or Standing(machine_id=pk)
    merged = merge(layers([pk])[pk])
    if row.version and row.wanted != merged.wanted:
        row.version += 1
    row.wanted = merged.wanted
    return row, merged


def layers(pks: Collection[int]) -> dict[int, list[Layer]]:
    """Return what each scope wants of these machines, the widest first.

    Of several tags the one that is later in the alphabet wins.
    """
    tags = _tags(pks)
    scopes = _scopes(pks, {tag for of_one in tags.values() for tag in of_one})
    tried = _tried(pks)
    found = {}
    for pk in pks:
        keys: list[Key] = [(Scope.DEFAULT, 0)]
        keys += [(Scope.TAG, tag) for tag in tags.get(pk, ())]
        keys.append((Scope.MACHINE, pk))
        found[pk] = [
            Layer(title(one), tried.get((one.pk, pk), one.wanted))
            for key in keys
            if (one := scopes.get(key)) is not None
        ]
    return found


def title(settings: AgentSettings) -> str:
    """Say whose word it is, on a machine's own page."""
    return "this machine" if settings.scope == Scope.MACHINE else str(settings)


def _compile(pks: Sequence[int], applied: Mapping[int, int]) -> dict[int, Standing]:
    known = set(Machine.objects.filter(pk__in=pks).values_list("pk", flat=True))
    wanted = {pk: merge(found).wanted for pk, found in layers(known).items()}
    kept = Standing.objects.in_bulk(known)
    changed = [
        pk for pk in sorted(known) if pk not in kept or _differs(kept[pk], wanted[pk])
    ]
    behind = [pk for pk in known if pk in kept and _is_behind(kept[pk], applied)]
    if changed or behind:
        kept |= _write(sorted({*changed, *behind}), wanted, applied)
    return {pk: kept[pk] for pk in known if pk in kept}


def _write(
    pks: Sequence[int], wanted: Mapping[int, Wanted], applied: Mapping[int, int]
) -> dict[int, Standing]:
    """Note what changed; two processes at once agree about the version."""
    now = timezone.now()
    with transaction.atomic():
        fresh = [Standing(machine_id=pk) for pk in pks]
        Standing.objects.bulk_create(fresh, ignore_conflicts=True)
        rows = {
            row.pk: row
            for row in Standing.objects.select_for_update()
            .filter(pk__in=pks)
            .order_by("pk")
        }
        moved = []
        for pk, row in rows.items():
            if not _differs(row, wanted[pk]) and not _is_behind(row, applied):
                continue
            row.version = max(row.version, _claimed(applied, pk)) + 1
            row.wanted, row.changed_at = dict(wanted[pk]), now
            moved.append(row)
        Standing.objects.bulk_update(
            moved, ["version", "wanted", "changed_at"], batch_size=CHUNK
        )
    return rows


def _differs(row: Standing, wanted: Wanted) -> bool:
    return not row.version or bool(row.wanted != wanted)


def _is_behind(row: Standing, applied: Mapping[int, int]) -> bool:
    return row.version < _claimed(applied, row.pk)


def _claimed(applied: Mapping[int, int], pk: int) -> int:
    version = applied.get(pk, 0)
    return version if version < MAX_VERSION else 0


def _tags(pks: Collection[int]) -> Mapping[int, list[int]]:
    rows = (
        Machine.tags.through.objects.filter(machine_id__in=pks)
        .order_by("tag__name")
        .values_list("machine_id", "tag_id")
    )
    found: dict[int, list[int]] = defaultdict(list)
    for machine, tag in rows:
        found[machine].append(tag)
    return found


def _scopes(pks: Collection[int], tags: Collection[int]) -> dict[Key, AgentSettings]:
    ours = Q(scope=Scope.DEFAULT) | Q(tag__in=tags) | Q(machine__in=pks)
    rows = AgentSettings.objects.filter(ours).select_related("current", "tag")
    return {(row.scope, row.tag_id or row.machine_id or 0): row for row in rows}


def _tried(pks: Collection[int]) -> dict[tuple[int, int], Wanted]:
    """Return what the first machines of open roll-outs have instead."""
    rows = Rollout.first.through.objects.filter(
        machine_id__in=pks, rollout__state__in=Rollout.OPEN
    ).values_list("rollout__settings", "machine_id", "rollout__revision__wanted")
    return {(settings, machine): wanted for settings, machine, wanted in rows}


def _chunks(pks: Sequence[int]) -> Iterator[Sequence[int]]:
    for at in range(0, len(pks), CHUNK):
        yield pks[at : at + CHUNK]
