"""What a worker takes from its queue, should somebody else reach it."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from kombu.exceptions import ContentDisallowed
from kombu.serialization import loads, prepare_accept_content

from hub.celery import app
from hub.tests.imports import ROOT, imports_of, modules

# They make objects of whatever they read, and so run what it says.
UNSAFE = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle", "yaml"}


class Trap:
    """Unpickled, it leaves a mark."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self._mark,)


@pytest.mark.parametrize(
    "kind", ["application/x-python-serialize", "application/x-yaml"]
)
def test_a_worker_reads_json_and_nothing_else(kind: str, tmp_path: Path) -> None:
    mark = tmp_path / "it ran"
    body = pickle.dumps(Trap(mark))
    accepted = prepare_accept_content(app.conf.accept_content)

    with pytest.raises(ContentDisallowed):
        loads(body, kind, "binary", accept=accepted)

    assert not mark.exists()
    assert accepted == {"application/json"}
    assert app.conf.task_serializer == "json"


def test_nothing_that_runs_what_it_reads_is_imported() -> None:
    found = {
        f"{name}: {arrow.imported}"
        for name, path in modules("hub", "agent/sysmonstm_agent")
        for arrow in imports_of(name, path)
        if arrow.imported.partition(".")[0] in UNSAFE
        and not {"tests", "testing"} & set(name.split("."))
    }

    assert found == set()
    assert (ROOT / "hub").is_dir()
