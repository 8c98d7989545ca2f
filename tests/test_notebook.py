"""The notebook of the docs: its cells run in order, in a running event loop as in Jupyter, and print what it shows."""

import asyncio
import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jinja2")

NOTEBOOK = Path(__file__).parents[1] / "docs/examples/notebook.ipynb"


def cells() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in found if cell["cell_type"] == "code"]


def printed(source: str, names: dict[str, Any]) -> str:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(source, "cell", "exec"), names)
    return said.getvalue()


@pytest.mark.skipif(not NOTEBOOK.exists(), reason="the docs are not here")
def test_the_notebook_prints_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    async def run() -> list[str]:
        names: dict[str, Any] = {}
        return [printed("".join(cell["source"]), names) for cell in cells()]

    shown = ["".join(line for output in cell["outputs"] for line in output["text"]) for cell in cells()]
    assert asyncio.run(run()) == shown
