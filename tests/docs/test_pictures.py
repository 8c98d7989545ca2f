"""The README's pictures of the terminal show what the commands print now, on the same data."""

import os
import re
import shutil
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from tests.docs.places import DOCS
from tests.docs.scripts import script

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="the docs are not here")


@pytest.fixture(scope="module")
def drawn() -> Iterator[dict[str, str]]:
    pictures: Any = script("pictures")
    folder = pictures.scratch()
    try:
        yield pictures.terminals(folder)
    finally:
        shutil.rmtree(folder)


def words_of(svg: str) -> list[str]:
    """Return the words drawn, whatever way rich cuts them into elements."""
    return unescape("".join(re.findall(r"<text[^>]*>(.*?)</text>", svg))).split()


@pytest.mark.parametrize("name", ["plan", "verify"])
def test_a_picture_shows_what_is_printed_now(drawn: dict[str, str], name: str) -> None:
    there = (DOCS / f"pictures/{name}.svg").read_text(encoding="utf-8")
    assert len(words_of(there)) > 50
    assert words_of(drawn[name]) == words_of(there), "run `make pictures`"


def test_every_picture_is_shown_and_is_one_that_is_drawn() -> None:
    shown = {
        os.path.basename(target)
        for page in (DOCS.parent / "README.md", *DOCS.rglob("*.md"))
        for target in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", Path(page).read_text(encoding="utf-8"))
    }
    assert shown == set(os.listdir(DOCS / "pictures"))
