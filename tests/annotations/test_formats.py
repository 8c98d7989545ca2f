"""The table of formats: what the docs say of each is what its row says."""

import re
from typing import get_args

import pytest

from planbalance.annotations import FORMATS, FormatName
from planbalance.import_model import FATES
from tests.docs.places import DOCS

PAGE = DOCS / "reference/import-formats.md"
needs_page = pytest.mark.skipif(not PAGE.is_file(), reason="the docs are not here")


def rows(section: str) -> dict[str, str]:
    """Return the rows of the first table of a section by the names in their first column."""
    text = PAGE.read_text(encoding="utf-8")
    body = text if not section else re.split(r"^## ", text, flags=re.MULTILINE)[section_number(text, section)]
    found = re.findall(r"^\| ((?:`[a-z-]+`(?:, )?)+) \| (.*) \|$", body, re.MULTILINE)
    return {name: rest for names, rest in found for name in re.findall(r"`([a-z-]+)`", names)}


def section_number(text: str, section: str) -> int:
    return [part.split("\n", 1)[0] for part in re.split(r"^## ", text, flags=re.MULTILINE)].index(section)


def test_the_table_has_every_format_once() -> None:
    assert tuple(FORMATS) == get_args(FormatName)
    assert all(name == row.name for name, row in FORMATS.items())


@needs_page
def test_the_docs_have_every_format_with_what_it_needs() -> None:
    text = PAGE.read_text(encoding="utf-8")
    first = dict(re.findall(r"^\| `([a-z-]+)` \| (.*) \|$", text.split("## ")[0], re.MULTILINE))
    assert tuple(first) == tuple(FORMATS)
    for name, row in FORMATS.items():
        for option in row.needs:
            assert option in first[name], f"{name} needs {option}"
        assert ("folder" in first[name].split("|")[1]) == (row.takes == "folder")


@needs_page
def test_the_docs_say_of_every_format_what_was_reviewed() -> None:
    assert sorted(rows("What counts as reviewed")) == sorted(FORMATS)


@needs_page
def test_the_docs_have_the_fates_in_their_order_of_precedence() -> None:
    fates = list(rows("What all formats have in common"))
    assert fates == [fate for fate in FATES if fate in fates] == list(FATES)


def test_the_parts_of_a_row_agree() -> None:
    for row in FORMATS.values():
        assert ("--reader" in row.takes_also) == row.has_readers
        assert ("--label-group" in row.takes_also) == row.has_label_groups
        assert ("--classes" in row.needs) == row.one_class
