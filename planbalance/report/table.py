"""Lines and tables that stay whole on any terminal: nothing is cut, a table that is too wide becomes a list.

Everything that comes from a user's files goes through `plain`, so that a file name cannot steer the terminal.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

_ANY_WIDTH: Final = 10_000


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


def size(number: int) -> str:
    """Return bytes for a person: `812 B`, `14.2 MiB`."""
    amount = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{number} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def heading(text: str) -> Text:
    """Return a section's title with an empty line above it."""
    return Text("\n" + plain(text), style="bold")


def line(*parts: str | tuple[str, str]) -> Text:
    """Return one line that is never wrapped or cut: paths, commands, what people copy.

    A part is a text, or a text with its style.
    """
    return _assembled(parts, Text(no_wrap=True, overflow="ignore"))


def prose(*parts: str | tuple[str, str]) -> Text:
    """Return a sentence that wraps at the terminal's width."""
    return _assembled(parts, Text(overflow="fold"))


def _assembled(parts: Iterable[str | tuple[str, str]], text: Text) -> Text:
    for part in parts:
        if isinstance(part, str):
            text.append(plain(part))
        else:
            text.append(plain(part[0]), style=part[1])
    return text


def item(mark: str, text: str, *, style: str = "") -> Table:
    """Return a sentence behind a mark, its further lines set under the first."""
    row = Table.grid(padding=(0, 1, 0, 0))
    row.add_column(no_wrap=True)
    row.add_column(overflow="fold")
    row.add_row(Text("  " + mark, style=style), prose(text))
    return row


@dataclass
class Grid:
    """A table of texts; the first column names the row, the others are numbers set to the right.

    Where it does not fit into the width, each row is written as a list of `column: value`.

    Attributes:
        columns: headings; the first one may be empty.
        rows: one text a column.
        words: indices of columns that hold words rather than numbers, beside the first.
        styles: cells that are one of these words are drawn so; the word says it too, for whom no colour helps.
    """

    columns: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    words: frozenset[int] = frozenset()
    styles: Mapping[str, str] = field(default_factory=dict)

    def add(self, *cells: object) -> "Grid":
        """Add a row and return the grid."""
        self.rows.append([plain(cell) for cell in cells])
        return self

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for gap in (2, 1):
            table = self._table(gap)
            # Its natural width: rich would sooner cut words than say that a table does not fit.
            if Measurement.get(console, options.update(width=_ANY_WIDTH), table).maximum <= options.max_width:
                yield table
                return
        yield from self._records()

    def _table(self, gap: int) -> Table:
        table = Table(box=None, padding=(0, gap, 0, 0), pad_edge=False, header_style="dim")
        table.add_column("  " + self.columns[0], no_wrap=True)
        for index, name in enumerate(self.columns[1:], start=1):
            justify = "left" if index in self.words else "right"
            table.add_column(plain(name), justify=justify, no_wrap=True)  # type: ignore[arg-type]
        for row in self.rows:
            table.add_row(Text("  " + row[0]), *[Text(cell, style=self.styles.get(cell, "")) for cell in row[1:]])
        return table

    def _records(self) -> Iterable[Text]:
        for row in self.rows:
            yield line("  " + row[0])
            for name, cell in zip(self.columns[1:], row[1:], strict=True):
                if cell:
                    yield line(f"    {name}: {cell}")
