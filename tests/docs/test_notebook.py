"""The notebook, cell by cell, inside an event loop as a kernel has one."""

import asyncio
import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.docs.places import DOCS

NOTEBOOK = DOCS / "examples/notebook.ipynb"

pytestmark = pytest.mark.skipif(not NOTEBOOK.is_file(), reason="the docs are not here")
pytest.importorskip("jinja2")


def cells() -> list[str]:
    found = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in found if cell["cell_type"] == "code"]


async def printed(code: list[str]) -> list[list[str]]:
    """Run cells one after the other in one namespace; return the lines that each prints."""
    names: dict[str, Any] = {"__name__": "notebook"}
    said = []
    for number, cell in enumerate(code, start=1):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(cell, f"cell {number}", "exec"), names)
        said.append(out.getvalue().splitlines())
        await asyncio.sleep(0)
    return said


def test_every_cell_runs_and_says_what_its_text_promises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found, planned, changes, built, audit, refused, page = asyncio.run(printed(cells()))
    assert found[1] == "36 volumes, 64 slices with a tear"
    assert planned[0].split() == ["train", "45", "tear", "45", "no", "tear"]
    assert changes[0].startswith("0 volumes moved, ")
    assert built == ["True symlink"]
    assert audit == ["True []"]
    assert refused == ["4 output-exists"]
    assert page == ["True True"]
    assert (tmp_path / "balanced.html").is_file()
