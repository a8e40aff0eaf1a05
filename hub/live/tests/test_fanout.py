from __future__ import annotations

import pytest

from hub.live.fanout import MAX_ACK_S, MAX_STRAY, Fanout, TooMany, Watcher
from hub.live.frames import CREDIT, HEARTBEAT_S, SUMMARY, Close


def a_watcher(*seen: int, user: int = 1) -> Watcher:
    watcher = Watcher(user, SUMMARY, None)
    watcher.see(frozenset(seen), ())
    watcher.changed.clear()
    watcher.wake.clear()
    return watcher


def ending(watcher: Watcher) -> Close | None:
    return watcher.closing


def test_a_watcher_hears_of_its_machines_only() -> None:
    watcher = a_watcher(1, 2)

    watcher.hear({3})
    assert not watcher.wake.is_set()

    watcher.hear({2, 3})
    assert watcher.changed == {2}
    assert watcher.wake.is_set()


def test_a_slow_watcher_keeps_one_note_for_each_machine() -> None:
    watcher = a_watcher(1, 2)

    for _ in range(10_000):
        watcher.hear({1, 2})

    assert watcher.changed == {1, 2}


def test_credit_is_spent_and_given_back() -> None:
    watcher = a_watcher(1)
    for number in range(1, CREDIT + 1):
        watcher.hear({1})
        assert watcher.may_send
        assert watcher.sends(0.0) == number
    watcher.hear({1})
    assert not watcher.may_send

    watcher.acknowledged(1)

    assert watcher.may_send


def test_a_repeated_acknowledgement_gives_no_credit() -> None:
    watcher = a_watcher(1)
    for _ in range(CREDIT):
        watcher.sends(0.0)
    watcher.acknowledged(1)
    watcher.sends(0.0)
    watcher.hear({1})

    watcher.acknowledged(1)
    watcher.acknowledged(99)

    assert not watcher.may_send


def test_the_last_acknowledgement_counts_for_those_before_it() -> None:
    watcher = a_watcher(1)
    for _ in range(CREDIT):
        watcher.sends(0.0)
    watcher.hear({1})

    watcher.acknowledged(CREDIT)
    watcher.sends(0.0)

    assert watcher.may_send


def test_a_flood_of_invented_acknowledgements_ends_the_line() -> None:
    watcher = a_watcher(1)

    for _ in range(MAX_STRAY):
        watcher.acknowledged(7)
    assert ending(watcher) is None

    watcher.acknowledged(7)
    assert ending(watcher) is Close.BAD_MESSAGE


def test_a_browser_that_never_acknowledges_is_given_up() -> None:
    watcher = a_watcher(1)
    watcher.sends(100.0)

    watcher.tend(100.0 + MAX_ACK_S)
    assert ending(watcher) is None

    watcher.tend(100.1 + MAX_ACK_S)
    assert ending(watcher) is Close.NO_ACK
    assert watcher.wake.is_set()
    assert not watcher.may_send


def test_a_quiet_line_gets_a_heartbeat() -> None:
    watcher = a_watcher(1)
    watcher.sends(100.0)
    watcher.acknowledged(1)
    watcher.wake.clear()

    watcher.tend(99.9 + HEARTBEAT_S)
    early = watcher.may_send, watcher.wake.is_set()
    watcher.tend(100.0 + HEARTBEAT_S)
    due = watcher.may_send, watcher.wake.is_set()

    assert (early, due) == ((False, False), (True, True))


def test_what_may_no_longer_be_seen_is_forgotten() -> None:
    watcher = a_watcher(1, 2)
    watcher.hear({1, 2})

    watcher.see(frozenset({2, 3}), ["one"])

    assert watcher.changed == {2, 3}
    assert watcher.gone == {"one"}


def test_a_user_has_so_many_sockets_and_no_more() -> None:
    fanout = Fanout(max_sockets=10, max_of_a_user=2)
    first = a_watcher(user=1)
    fanout.add(first)
    fanout.add(a_watcher(user=1))

    with pytest.raises(TooMany):
        fanout.add(a_watcher(user=1))
    fanout.add(a_watcher(user=2))
    fanout.remove(first)
    fanout.remove(first)
    fanout.add(a_watcher(user=1))

    assert len(fanout) == 3


def test_an_address_has_so_many_sockets_whoever_opens_them() -> None:
    fanout = Fanout(max_of_an_address=2)
    here = [Watcher(user, SUMMARY, None, address="192.0.2.7") for user in range(3)]
    for watcher in here[:2]:
        fanout.add(watcher)

    with pytest.raises(TooMany):
        fanout.add(here[2])
    fanout.add(Watcher(3, SUMMARY, None, address="192.0.2.8"))
    for user in range(3):
        # A proxy that nobody told of: it may be anybody's.
        fanout.add(Watcher(user, SUMMARY, None, address=""))
    fanout.remove(here[0])
    fanout.add(here[2])

    assert len(fanout) == 6


def test_the_bounds_are_those_that_are_promised() -> None:
    fanout = Fanout()
    for _ in range(20):
        fanout.add(a_watcher(user=1))
    with pytest.raises(TooMany):
        fanout.add(a_watcher(user=1))
    for user in range(50):
        fanout.add(Watcher(user + 2, SUMMARY, None, address="192.0.2.7"))
    with pytest.raises(TooMany):
        fanout.add(Watcher(99, SUMMARY, None, address="192.0.2.7"))


def test_a_process_has_so_many_sockets_and_no_more() -> None:
    fanout = Fanout(max_sockets=2, max_of_a_user=2)
    fanout.add(a_watcher(user=1))
    fanout.add(a_watcher(user=2))

    with pytest.raises(TooMany):
        fanout.add(a_watcher(user=3))
