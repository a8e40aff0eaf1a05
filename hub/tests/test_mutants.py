"""The list of deliberate faults is up to date, and its judge tells caught from not."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.testing.mutant import Mutant
from hub.testing.mutants import MUTANTS, ROOT, copy_tree, table, try_mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.invariant)
def test_every_fault_still_has_its_place_and_its_tests(mutant: Mutant) -> None:
    assert (ROOT / mutant.file).read_text().count(mutant.old) == 1
    for name in mutant.test.split():
        path, _, test = name.partition("::")
        assert (ROOT / path).exists()
        assert f"def {test}" in (ROOT / path).read_text() if test else True


@pytest.mark.process
def test_a_fault_is_caught_and_a_harmless_change_is_not(tmp_path: Path) -> None:
    tree = copy_tree(tmp_path)
    test = "test_a_missing_sample_is_seen_and_an_acknowledged_one_is_worse"
    tests = f"hub/tests/test_oracle.py::{test}"
    fault = Mutant(
        "what is missing is seen",
        "hub/testing/oracle/judge.py",
        "        if made.safe\n",
        "        if not made.safe\n",
        tests,
    )
    harmless = Mutant(
        "nothing",
        "hub/testing/oracle/judge.py",
        "        if made.safe\n",
        "        if bool(made.safe)\n",
        tests,
    )
    gone = Mutant("nothing", "hub/testing/oracle/judge.py", "no such text", "", tests)

    results = [try_mutant(mutant, tree) for mutant in (fault, harmless, gone)]

    assert [result.caught for result in results] == [True, False, False]
    assert [bool(result.trouble) for result in results] == [False, False, True]
    assert list(table(results))[-1] == "1 of 3 caught"
    assert (tree / fault.file).read_text() == (ROOT / fault.file).read_text()
