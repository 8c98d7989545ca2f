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


def cells() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in found if cell["cell_type"] == "code"]


async def printed(sources: list[str]) -> list[str]:
    """Run cells one after the other in one namespace; return what each prints."""
    names: dict[str, Any] = {"__name__": "notebook"}
    said = []
    for number, source in enumerate(sources, start=1):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(source, f"cell {number}", "exec"), names)
        said.append(out.getvalue())
        await asyncio.sleep(0)
    return said


def test_every_cell_prints_what_is_shown_and_what_its_text_promises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = asyncio.run(printed(["".join(cell["source"]) for cell in cells()]))
    assert said == ["".join(line for output in cell["outputs"] for line in output["text"]) for cell in cells()]
    found, planned, changes, built, audit, refused, page = (text.splitlines() for text in said)
    assert found[1] == "36 volumes, 64 slices with a tear"
    assert planned[0].split() == ["train", "45", "tear", "45", "no", "tear"]
    assert changes[0].startswith("0 volumes moved, ")
    assert built == ["True symlink"]
    assert audit == ["True []"]
    assert refused == ["4 output-exists"]
    assert page == ["True True"]
    assert (tmp_path / "balanced.html").is_file()
