"""The house's sizes: a file is a chapter's paragraph, a function a thought."""

from __future__ import annotations

import ast

from hub.tests.imports import modules

FILE_LINES = 400
FUNCTION_LINES = 60

FOLDERS = ("hub", "agent/sysmonstm_agent", "agent/tests", "bench")
SOURCES = [path for name, path in modules(*FOLDERS) if "migrations" not in name]


def too_long(source: str) -> list[str]:
    """Name what is over the house's sizes in a module."""
    found = []
    if (lines := len(source.splitlines())) > FILE_LINES:
        found.append(f"{lines} lines")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                found.append(f"{node.name}: {length} lines")
    return found


def test_every_source_keeps_to_the_sizes() -> None:
    found = {path: too_long(path.read_text()) for path in SOURCES}

    assert {str(path): said for path, said in found.items() if said} == {}


def test_what_is_too_long_is_named() -> None:
    body = "\n".join("    pass" for _ in range(FUNCTION_LINES))

    assert too_long(f"def small():\n{body[:-9]}") == []
    assert too_long(f"def big():\n{body}") == ["big: 61 lines"]
    assert too_long("\n" * 401) == ["401 lines"]
