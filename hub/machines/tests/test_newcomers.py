from __future__ import annotations

import pytest
from pytest_django import Settings

from hub.machines.newcomers import TooManyNew, admit

FAR, OTHER = "ipv4:192.0.2.7", "ipv4:192.0.2.8"


def come(*addresses: str) -> None:
    for address in addresses:
        admit(address)


def test_one_address_makes_a_fifth_and_leaves_the_rest_to_others(
    settings: Settings,
) -> None:
    settings.AGENT_TOKEN_NEW_PER_HOUR = 10
    come(FAR, FAR)

    # Who is refused takes nobody else's place, however often it tries.
    for _ in range(20):
        with pytest.raises(TooManyNew, match="2 new machines an hour for one address"):
            admit(FAR)
    come(OTHER, OTHER)


def test_all_together_make_no_more_than_the_setting_says(settings: Settings) -> None:
    settings.AGENT_TOKEN_NEW_PER_HOUR = 3
    come(FAR, OTHER, "ipv4:192.0.2.9")

    with pytest.raises(TooManyNew, match="makes 3 new machines an hour; come back"):
        admit("ipv4:192.0.2.10")


def test_behind_a_proxy_on_this_machine_there_is_no_one_address(
    settings: Settings,
) -> None:
    settings.AGENT_TOKEN_NEW_PER_HOUR = 10
    come(*[""] * 10)

    with pytest.raises(TooManyNew, match="makes 10 new machines an hour;"):
        admit("")


def test_a_hub_may_want_no_new_ones_at_all(settings: Settings) -> None:
    settings.AGENT_TOKEN_NEW_PER_HOUR = 0

    with pytest.raises(TooManyNew):
        admit(FAR)
