"""Faults of the storage: layouts that come and go, and what leaves for the archive."""

from __future__ import annotations

from hub.testing.mutant import Mutant

STORAGE = (
    Mutant(
        "no row holds a layout's number for now",
        "hub/ingest/isolate.py",
        "self._write(finite(numbered(incoming)), refused)",
        "self._write(finite(incoming), refused)",
        "hub/ingest/tests/test_learner.py",
    ),
    Mutant(
        "a layout that is in use is not pruned",
        "hub/storage/layouts.py",
        ".update(last_used=now):",
        ".exists():",
        "hub/storage/tests/test_prune.py",
    ),
    Mutant(
        "hours keep their layout",
        "hub/storage/rollup.py",
        "        if tier is HOUR and folded:",
        "        if False:",
        "hub/storage/tests/test_prune.py",
    ),
    Mutant(
        "hours that the archive does not take stay",
        "hub/storage/archive.py",
        "update(trouble=str(failed))\n        raise\n",
        "update(trouble=str(failed))\n        return 0\n",
        "hub/storage/tests/test_archive.py",
    ),
)
