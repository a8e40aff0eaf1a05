from __future__ import annotations

from hub.storage.sample import StoredSample
from hub.storage.settle import Incoming, Move, RefusedAt, in_order, settle
from hub.storage.tests.conftest import EPOCH, arriving, sample

OTHER = b"n" * 16


def nowhere(machine: int, epoch: bytes) -> int:
    return 0


def tick(sequence: int, machine: int = 1) -> StoredSample:
    return sample(machine, 1, sequence, 0)


def test_order_is_kept_and_each_machine_moves_to_its_last() -> None:
    a1, a2, b1 = tick(11), tick(12), tick(5, machine=2)

    found = settle(arriving([a1, b1, a2]), {1: (EPOCH, 10), 2: (EPOCH, 5)}, nowhere)

    assert found.fresh == [a1, a2]
    assert found.moves == {
        1: [Move(1, EPOCH, 12, stored=2, last=a2)],
        2: [Move(2, EPOCH, 5, duplicates=1)],
    }


def test_a_repeat_within_the_batch_is_known() -> None:
    first, again = tick(11), tick(11)

    found = settle(arriving([first, again]), {1: (EPOCH, 10)}, nowhere)

    assert found.fresh == [first]
    assert found.duplicates == 1


def test_a_hole_is_counted_as_skipped() -> None:
    after = tick(15)

    found = settle(arriving([after]), {1: (EPOCH, 10)}, nowhere)

    assert found.moves[1] == [Move(1, EPOCH, 15, stored=1, skipped=4, last=after)]


def test_what_came_before_the_hub_knew_of_the_spool_is_not_skipped() -> None:
    first = tick(501)

    found = settle(arriving([first]), {1: (b"", 0)}, nowhere)

    assert found.moves[1] == [Move(1, EPOCH, 501, before=500, stored=1, last=first)]


def test_a_refused_number_is_settled_at_its_place() -> None:
    batch = arriving([tick(11), tick(13)])
    refused = [RefusedAt(1, EPOCH, 12), RefusedAt(1, EPOCH, 14)]

    found = settle(in_order(batch, refused), {1: (EPOCH, 10)}, nowhere)

    [move] = found.moves[1]
    assert (move.sequence, move.stored, move.refused, move.skipped) == (14, 2, 2, 0)


def test_other_machines_keep_their_order_beside_a_refusal() -> None:
    batch = arriving([tick(1, machine=2), tick(11), tick(2, machine=2)])

    items = in_order(batch, [RefusedAt(1, EPOCH, 10)])

    assert items == [batch[0], batch[2], RefusedAt(1, EPOCH, 10), batch[1]]


def test_a_spool_that_changes_in_the_middle_is_followed() -> None:
    old, new = Incoming(tick(11), EPOCH), Incoming(tick(1), OTHER)

    found = settle([old, new], {1: (EPOCH, 10)}, nowhere)

    assert [move.epoch for move in found.moves[1]] == [EPOCH, OTHER]
    assert found.fresh == [old.sample, new.sample]


def test_a_spool_that_returns_goes_on_where_it_was() -> None:
    back = [Incoming(tick(n), OTHER) for n in (7, 8)]

    found = settle(back, {1: (EPOCH, 10)}, lambda machine, epoch: 7)

    assert found.moves[1] == [
        Move(1, OTHER, 8, stored=1, duplicates=1, last=back[1].sample)
    ]


def test_two_spools_in_turn_end_with_the_last_one() -> None:
    batch = [
        Incoming(tick(11), EPOCH),
        Incoming(tick(1), OTHER),
        Incoming(tick(12), EPOCH),
    ]

    found = settle(batch, {1: (EPOCH, 10)}, nowhere)

    assert [(m.epoch, m.sequence, m.stored) for m in found.moves[1]] == [
        (OTHER, 1, 1),
        (EPOCH, 12, 2),
    ]
