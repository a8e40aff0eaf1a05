from __future__ import annotations

import pytest

from hub.storage.sample import StoredSample, pack, unpack

SAMPLES = [
    StoredSample(1, 2, 3, 1_772_366_400_123, 1_772_366_400_150, b"\0\0\x80?"),
    StoredSample(2**31 - 1, 2**31 - 1, 2**63 - 1, -1, 0, b""),
    StoredSample(1, 2, 4, 1_772_366_405_123, 1_772_366_405_150, bytes(range(12))),
]


def test_what_is_packed_is_unpacked_in_its_order() -> None:
    assert unpack(pack(SAMPLES)) == SAMPLES
    assert unpack(pack([])) == []


def test_a_packed_sample_costs_36_bytes_beside_its_values() -> None:
    assert len(pack(SAMPLES)) - len(pack([])) == 3 * 36 + 4 + 0 + 12


@pytest.mark.parametrize("cut", [0, 3, 5, 20, 60, -1])
def test_a_message_that_was_cut_is_refused(cut: int) -> None:
    with pytest.raises(ValueError, match="samples"):
        unpack(pack(SAMPLES)[:cut])


def test_a_message_with_something_left_over_is_refused() -> None:
    with pytest.raises(ValueError, match="another length"):
        unpack(pack(SAMPLES) + b"x")


def test_a_message_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="version 9"):
        unpack(b"\x09" + pack(SAMPLES)[1:])
