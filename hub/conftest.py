"""What every test of the hub begins with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hub.storage import layouts, provisional
from hub.storage.hot import set_hot


@pytest.fixture(autouse=True)
def _as_a_new_process() -> Iterator[None]:
    """Forget what stands in memory about a database that was rolled back."""
    _forget()
    yield
    _forget()


def _forget() -> None:
    layouts.forget_all()
    provisional.forget_all()
    set_hot(None)
