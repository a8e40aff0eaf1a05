"""What `docs/security.md` says is tested, is."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from hub.tests.imports import ROOT

DOC = ROOT / "docs" / "security.md"
ATTACKS = [f"S{number}" for number in range(1, 41)]
# There is no relay to attack.
INAPPLICABLE = ("S27", "S28")

ROW = re.compile(r"^\| (S\d+) \| (.+?) \| (.+?) \| ?(.*?) ?\|$", re.MULTILINE)
ROWS = ROW.findall(DOC.read_text())
NAMED = [
    (attack, test)
    for attack, _, _, tests in ROWS
    for test in re.findall(r"`([^`]+)`", tests)
]


@cache
def functions(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))


def test_every_attack_has_its_row() -> None:
    assert [attack for attack, *_ in ROWS] == ATTACKS


@pytest.mark.parametrize(("attack", "tried", "gets", "tests"), ROWS)
def test_a_row_names_its_tests_or_says_why_there_is_none(
    attack: str, tried: str, gets: str, tests: str
) -> None:
    assert tried.endswith(".")
    assert gets.endswith(".")
    assert bool(tests) is (attack not in INAPPLICABLE)
    assert tests or gets.startswith("Cannot apply: ")
    assert not re.sub(r"`[^`]+`", "", tests).strip()


@pytest.mark.parametrize(("attack", "test"), NAMED)
def test_a_named_test_is_there(attack: str, test: str) -> None:
    path, _, name = test.partition("::")

    assert re.fullmatch(r"(hub/\w+|hub|agent)/tests/test_\w+\.py", path)
    found = functions(path)
    if name:
        assert name.startswith("test_")
        assert name in found
    else:
        assert any(one.startswith("test_") for one in found)
