"""Rules about the code itself that no linter knows."""

import ast
from collections import defaultdict
from pathlib import Path

import planbalance

PACKAGE = Path(planbalance.__file__).parent


def test_no_class_name_stands_for_two_things() -> None:
    defined: dict[str, list[str]] = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                defined[node.name].append(f"{path.relative_to(PACKAGE)}:{node.lineno}")
    assert len(defined) > 300, "the classes of the package were found"
    assert {name: places for name, places in defined.items() if len(places) > 1} == {}
