from __future__ import annotations

import math

from sysmonstm_agent.rates import Rates


def test_growth_is_divided_by_the_time_it_took() -> None:
    rates = Rates()
    rates.tick(100.0)
    rates.rate("sent", 1_000)

    rates.tick(104.0)

    assert rates.rate("sent", 1_600) == 150


def test_a_counter_has_no_rate_the_first_time() -> None:
    rates = Rates()
    rates.tick(100.0)

    assert math.isnan(rates.rate("sent", 1_000))


def test_a_counter_that_fell_has_no_rate_once() -> None:
    rates = Rates()
    rates.tick(100.0)
    rates.rate("sent", 1_000)

    rates.tick(105.0)
    assert math.isnan(rates.rate("sent", 50))

    rates.tick(110.0)
    assert rates.rate("sent", 100) == 10


def test_a_counter_that_stands_still_has_rate_0() -> None:
    rates = Rates()
    rates.tick(100.0)
    rates.rate("sent", 7)

    rates.tick(105.0)

    assert rates.rate("sent", 7) == 0


def test_a_clock_that_did_not_go_on_gives_no_rate() -> None:
    rates = Rates()
    rates.tick(100.0)
    rates.rate("sent", 1_000)

    for now_s in (100.0, 99.0):
        rates.tick(now_s)
        assert math.isnan(rates.rate("sent", 2_000))


def test_a_long_pause_is_averaged_over_all_of_it() -> None:
    rates = Rates()
    rates.tick(100.0)
    rates.rate("sent", 0)

    rates.tick(3_700.0)

    assert rates.rate("sent", 3_600) == 1


def test_a_counter_that_was_away_for_a_tick_begins_anew() -> None:
    rates = Rates()
    rates.tick(100.0)
    rates.rate("usb0", 1_000)
    rates.tick(105.0)

    rates.tick(110.0)

    assert math.isnan(rates.rate("usb0", 5_000))
