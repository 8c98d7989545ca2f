"""Lines and tables that stay whole on any terminal: nothing is cut, a table that is too wide becomes a list.

Everything that comes from a user's files goes through `plain`, so that a file name cannot control the terminal.

What is made here describes what to print and turns into rich's text when rich asks for it (`__rich__`): a command that
prints nothing (`--quiet`, `--json`) never imports rich, which takes as long as click.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

from planbalance.text import size as size  # noqa: PLC0414 - shown beside the numbers that are made here

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.table import Table
    from rich.text import Text

    Renderable = RenderableType
else:
    Renderable = object

_ANY_WIDTH: Final = 10_000
_WORDS: Final = re.compile(r"\S+(?: %\S*)?")  # a number stays beside its percent sign
# Of messages: what stands between backticks, and a command at the end, is one piece.
_PIECES: Final = re.compile(rf"[(]?`[^`]+`\S*|(?<=: )planbalance .*|{_WORDS.pattern}")
_TERM: Final = 7  # columns of the longest term: Volumes


def plain(value: object) -> str:
    """Return the text with every control character written out as an escape."""
    text = str(value)
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def count(number: int) -> str:
    """Return the number with a comma between thousands, as the guide prints it."""
    return f"{number:,}"


def share(part: int, whole: int) -> str:
    """Return the part of the whole in percent with one decimal, `-` where the whole is nothing."""
    return f"{100 * part / whole:.1f} %" if whole else "-"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return each row of numbers as one text, `7 / 80 / 9`, with the numbers of all rows below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [" / ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)) for row in rows]


class Line:
    """Text with its styles: parts, each a text or a text with its style; `settings` are those of rich's `Text`."""

    def __init__(self, *parts: str | tuple[str, str], above: str = "", **settings: Any) -> None:  # noqa: ANN401 - rich's
        self._parts = parts
        self._above = above
        self._settings = settings

    def __rich__(self) -> "Text":
        from rich.text import Text

        text = Text(self._above, **self._settings)
        for part in self._parts:
            if isinstance(part, str):
                text.append(plain(part))
            else:
                text.append(plain(part[0]), style=part[1])
        return text


class Group:
    """Several things, one below the other."""

    def __init__(self, *parts: Renderable) -> None:
        self.parts = parts

    def __rich__(self) -> Renderable:
        from rich import console

        return console.Group(*self.parts)


def heading(text: str) -> Line:
    """Return a section's title with an empty line above it."""
    return Line(text, above="\n", style="bold")


def line(*parts: str | tuple[str, str]) -> Line:
    """Return one line that is never wrapped or cut: paths, commands, what people copy.

    A part is a text, or a text with its style.
    """
    return Line(*parts, no_wrap=True, overflow="ignore")


class _Prose:
    """A sentence that wraps at the terminal's width, between words; each line is set in as the first is."""

    def __init__(self, parts: Sequence[str | tuple[str, str]]) -> None:
        self._parts = [(plain(part), "") if isinstance(part, str) else (plain(part[0]), part[1]) for part in parts]

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        from rich.cells import cell_len

        text = "".join(part for part, _ in self._parts)
        indent = text[: len(text) - len(text.lstrip(" "))]
        row: list[tuple[str, str]] = []
        width = 0
        for blanks, word, style in self._words(text):
            if row and width + cell_len(blanks + word) > options.max_width:
                yield line(*row)
                row, width = [], 0
            row.append(((blanks if row else indent) + word, style))
            width += cell_len(row[-1][0])
        yield line(*row)

    def _words(self, text: str) -> Iterable[tuple[str, str, str]]:
        """Yield each word with the blanks before it and the style of the part in which it begins."""
        ends = list(accumulate(len(part) for part, _ in self._parts))
        end = 0
        for found in _WORDS.finditer(text):
            yield text[end : found.start()], found[0], self._parts[bisect_right(ends, found.start())][1]
            end = found.end()


def prose(*parts: str | tuple[str, str]) -> Renderable:
    """Return a sentence that wraps at the terminal's width, between words: a longer word (a path) is never broken."""
    return _Prose(parts)


class _Item:
    """A sentence behind a mark, its further lines set under the first.

    It wraps between words, or between the texts of a list; a longer one (a path, a pattern to paste) is never broken.
    """

    def __init__(self, mark: str, text: str | list[str], style: str) -> None:
        self._mark = mark
        self._words = _WORDS.findall(" ".join(plain(text).split())) if isinstance(text, str) else text
        self._style = style

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        from rich.cells import cell_len

        width = options.max_width - cell_len(self._mark) - 1
        row = ""
        mark = self._mark
        for word in self._words:
            if row and cell_len(row) + 1 + cell_len(word) > width:
                yield line((mark, self._style), f" {row}")
                row, mark = "", " " * cell_len(self._mark)
            row = f"{row} {word}" if row else word
        yield line((mark, self._style), f" {row}")


class _Message(_Item):
    """The same; a command in it is never divided, and what is no terminal gets it on one line, for `grep`."""

    def __init__(self, mark: str, text: str, style: str) -> None:
        super().__init__(mark, text, style)
        self._whole = text
        self._words = _PIECES.findall(" ".join(plain(text).split()))

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        if options.is_terminal:
            yield from super().__rich_console__(console, options)
        else:
            yield line((self._mark, self._style), f" {self._whole}")


def lines(text: str) -> Group:
    """Return text as lines that are neither wrapped nor cut (CSV)."""
    return Group(*(line(row) for row in text.splitlines()))


def item(mark: str, text: str, *, style: str = "", indent: str = "  ") -> Renderable:
    """Return a sentence behind a mark, its further lines set under the first."""
    return _Item(indent + mark, text, style)


def indented(text: str) -> Renderable:
    """Return a sentence of a section, all its lines set in as the section's tables are."""
    return _Item(" ", text, "")


def message(name: str, text: str, *, style: str) -> Renderable:
    """Return a sentence behind what it is, such as `Error:`; it wraps in a terminal alone, and never in a command."""
    return _Message(name, text, style)


def term(name: str, text: str) -> Renderable:
    """Return a sentence behind what it is about, such as `Unit    volume`, its further lines set under the first.

    With an empty name, the sentence is set under the one above it.
    """
    return _Item(name.ljust(_TERM), text, "dim")


class Grid:
    """A table of texts; the first column names the row, the others are numbers set to the right.

    Where it does not fit into the width, each row is written as a sentence of its columns and values.

    Attributes:
        columns: headings; the first one may be empty.
        rows: one text a column.
        words: indices of columns that hold words rather than numbers, beside the first.
        styles: by the text of a cell. The text says the same as the colour, for those who see no colours.
    """

    def __init__(
        self, columns: Sequence[str], *, words: frozenset[int] = frozenset(), styles: Mapping[str, str] | None = None
    ) -> None:
        self.columns = columns
        self.rows: list[Sequence[str]] = []
        self.words = words
        self.styles = styles or {}

    def add(self, *cells: object) -> "Grid":
        """Add a row and return the grid."""
        self.rows.append([plain(cell) for cell in cells])
        return self

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        from rich.measure import Measurement

        for gap, close in ((2, False), (1, False), (1, True)):
            table = self._table(gap, close=close)
            # The width without a limit: with one, rich cuts words and does not say that a table does not fit.
            if Measurement.get(console, options.update(width=_ANY_WIDTH), table).maximum <= options.max_width:
                yield table
                return
        yield from self._records()

    def _table(self, gap: int, *, close: bool) -> "Table":
        """Return the table; `gap`: blanks between columns; `close`: several numbers in a cell stand closer."""
        from rich.table import Table

        table = Table(box=None, padding=(0, gap, 0, 0), pad_edge=False, header_style="dim")
        table.add_column("  " + self.columns[0], no_wrap=True)
        for index, name in enumerate(self.columns[1:], start=1):
            justify = "left" if index in self.words else "right"
            table.add_column(plain(name), justify=justify, no_wrap=True)  # type: ignore[arg-type]
        rows = [[cell.replace(" / ", "/") for cell in row] for row in self.rows] if close else self.rows
        for row in rows:
            table.add_row(Line("  " + row[0]), *[Line((cell, self.styles.get(cell, ""))) for cell in row[1:]])
        return table

    def _records(self) -> Iterable[Renderable]:
        for row in self.rows:
            cells = zip(self.columns[1:], row[1:], strict=True)
            told = [f"{name}: {' '.join(cell.split())}" for name, cell in cells if cell]
            yield line("  " + row[0])
            yield _Item("   ", [f"{one}," for one in told[:-1]] + told[-1:], "")
