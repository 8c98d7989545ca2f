"""Tables and lines on any width: nothing is cut, nothing controls the terminal."""

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, Group, RenderableType

from planbalance.render.table import Grid, item, line, message, plain, prose, share, size, term


def printed(text: RenderableType, width: int) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width, force_terminal=False).print(Group(text), crop=False)
    return [row.rstrip() for row in stream.getvalue().splitlines()]


def counts() -> Grid:
    return Grid(["", "volumes", "slices"]).add("train", "385", "66,108").add("all", "550", "94,440")


def test_a_table_stands_in_columns_where_it_fits() -> None:
    assert printed(counts(), 40) == ["         volumes  slices", "  train      385  66,108", "  all        550  94,440"]


def test_a_table_that_does_not_fit_becomes_a_list() -> None:
    assert printed(counts(), 20) == [
        "  train", "    volumes: 385,", "    slices: 66,108",
        "  all", "    volumes: 550,", "    slices: 94,440",
    ]  # fmt: skip


def test_numbers_in_a_cell_stand_closer_before_a_table_becomes_a_list() -> None:
    grid = Grid(["", "volumes", "slices"]).add("fold 1", "23 /  5 / 8", "41 / 9 / 14").add("mean", "23 / 5 / 7", "1")
    assert printed(grid, 26) == ["         volumes  slices", "  fold 1 23/ 5/8 41/9/14", "  mean    23/5/7       1"]
    assert printed(grid, 23)[:3] == ["  fold 1", "    volumes: 23 / 5 / 8,", "    slices: 41 / 9 / 14"]


@given(words=st.lists(st.text("ab", min_size=1, max_size=30), min_size=1, max_size=12), width=st.integers(1, 40))
def test_a_sentence_wraps_between_words_at_every_width(words: list[str], width: int) -> None:
    rows = printed(prose(("First: ", "bold"), " ".join(words)), width)
    assert [word for row in rows for word in row.split()] == ["First:", *words]
    assert all(len(row) <= width or " " not in row for row in rows)


def test_a_sentence_keeps_how_far_it_is_set_in() -> None:
    assert printed(prose("  modes    copy, ", ("symlink", "bold"), ", list"), 24) == [
        "  modes    copy,", "  symlink, list",
    ]  # fmt: skip


def test_a_message_wraps_in_a_terminal_but_never_in_a_command() -> None:
    told = message("Hint:", "go on with: planbalance apply plan.json", style="bold")
    assert printed(told, 20) == ["Hint: go on with: planbalance apply plan.json"]
    stream = io.StringIO()
    Console(file=stream, width=20, force_terminal=True, color_system=None).print(Group(told), crop=False)
    assert [row.rstrip() for row in re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()).splitlines()] == [
        "Hint: go on with:", "      planbalance apply plan.json",
    ]  # fmt: skip


CELL = st.text(st.characters(exclude_categories=("C", "Z", "M")), max_size=12)


@given(rows=st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=5), width=st.integers(1, 80))
def test_every_cell_is_whole_at_every_width(rows: list[tuple[str, str, str]], width: int) -> None:
    grid = Grid(["", "a", "b"])
    for row in rows:
        grid.add(*row)
    text = "\n".join(printed(grid, width))
    for row in rows:
        for cell in row:
            assert cell in text


@given(st.text(), st.integers(1, 200))
def test_nothing_in_a_text_controls_the_terminal(text: str, width: int) -> None:
    for shown in (line(text), prose(text), item("-", text), Grid([""]).add(text)):
        assert "\n".join(printed(shown, width)).replace("\n", "").isprintable()


@given(st.text(min_size=1), st.integers(1, 40))
def test_a_line_is_one_line(text: str, width: int) -> None:
    assert len(printed(line(text), width)) <= 1


def test_a_path_that_people_copy_stays_whole_and_a_sentence_wraps() -> None:
    path = "/gpfs/home/" + "long/" * 30
    assert printed(line(path), 40) == [path]
    assert all(len(row) <= 40 for row in printed(prose("word " * 30), 40))
    wrapped = printed(item("-", "word " * 20), 40)
    assert wrapped[0].startswith("  - word")
    assert all(row.startswith("    word") for row in wrapped[1:])


def test_a_pattern_that_people_paste_stays_whole_in_a_sentence() -> None:
    pattern = "'(?P<volume>(?:sub-cal[0-9]+)_ses-M[0-9]+_(?:PSIR|STIR))_(?P<slice>[0-9]+)'"
    for shown in (item("!", f"To split by volume: --volume-pattern {pattern} as it stands."), term("Unit", pattern)):
        for width in (20, 40, 60):
            assert pattern in "\n".join(printed(shown, width))
    assert printed(term("Unit", "volume"), 40) == ["Unit    volume"]
    assert printed(term("", "a sentence that goes on"), 20) == ["        a sentence", "        that goes on"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("knee", "knee"),
        ("Kniegelenk-ä", "Kniegelenk-ä"),
        ("a\nb", "a\\nb"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\x9bb", "a\\x9bb"),
        ("\udcff", "\\udcff"),
        ("a\u202eb", "a\\u202eb"),
    ],
)
def test_control_characters_are_written_out(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [(0, 0, "-"), (1, 2, "50.0 %"), (0, 5, "0.0 %"), (12_791, 25_582, "50.0 %"), (2_741, 14_166, "19.3 %")],
)
def test_shares(part: int, whole: int, shown: str) -> None:
    assert share(part, whole) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1 << 20, "1.0 MiB"),
        (3 << 39, "1.5 TiB"),
        (1 << 60, "1048576.0 TiB"),
    ],
)
def test_sizes(number: int, shown: str) -> None:
    assert size(number) == shown


@pytest.mark.parametrize("no_color", [True, False])
def test_a_word_with_a_style_is_coloured_where_colours_are(no_color: bool) -> None:
    grid = (
        Grid(["", "result"], words=frozenset({1}), styles={"FAILED": "red"})
        .add("volumes", "FAILED")
        .add("labels", "ok")
    )
    stream = io.StringIO()
    Console(file=stream, width=60, force_terminal=True, color_system="standard", no_color=no_color).print(grid)
    assert ("\x1b[31mFAILED" in stream.getvalue()) == (not no_color)
