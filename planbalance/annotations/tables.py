"""The rows of a CSV file of annotations. A row that does not fit the header line is kept, with its fault."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from typing import Final, NamedTuple

from planbalance.annotations.drafts import UnreadableError, shown
from planbalance.annotations.nearest_format import HEADINGS, nearest_format, other_format
from planbalance.annotations.source import SourceFile, refused
from planbalance.errors import InputError
from planbalance.import_model import FormatName
from planbalance.text import some

SIZE_LIMIT: Final = 1 << 29  # bytes of an annotation file; instances_train2017.json of COCO has 448 MB
_FIELD_LIMIT: Final = 1 << 24  # letters of a field; a drawn shape may be long

_LISTED: Final = 20  # headings in a message


class TableRow(NamedTuple):
    """A row below the header line.

    Attributes:
        number: its place among the rows, from 1.
        line: the line of the file in which it ends, from 1.
        fields: heading -> text without blanks at its ends; of a row with a fault, as many as there are.
        fault: why the row does not fit the header line; "" where it does.
    """

    number: int
    line: int
    fields: Mapping[str, str]
    fault: str = ""

    @property
    def where(self) -> str:
        """Return what finds it again for a person."""
        return f"line {self.line}"

    def field(self, heading: str) -> str:
        """Return a field. Raises UnreadableError where the row ends before it."""
        if heading not in self.fields:
            raise UnreadableError(self.fault)
        return self.fields[heading]

    def require_fit(self) -> None:
        """Check that the row fits the header line.

        Readers do this when they know the image: so a row that cannot be read still makes its slice doubtful.

        Raises:
            UnreadableError: it does not.
        """
        if self.fault:
            raise UnreadableError(self.fault)


def decoded(file: SourceFile) -> str:
    """Return the text of a file: UTF-8, or UTF-16 with a byte order mark.

    Raises:
        InputError: it is neither, or it is too large (kind `bad-annotations`).
    """
    check_size(file)
    encoding = "utf-16" if file.data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return file.data.decode(encoding)
    except UnicodeDecodeError as error:
        raise refused(file.name, f"is not UTF-8 text (byte {error.start})", "Save it as 'CSV UTF-8'.") from None


def check_size(file: SourceFile) -> None:
    """Raise InputError for a file that is too large to be read (kind `bad-annotations`)."""
    if len(file.data) > SIZE_LIMIT:
        raise refused(file.name, f"has {len(file.data):,} bytes, more than {SIZE_LIMIT:,}", "Divide it.")


def csv_rows(file: SourceFile) -> list[tuple[int, list[str]]]:
    """Return the rows that are not blank, fields without blanks at their ends, each with its line from 1.

    Raises:
        InputError: the file is no CSV text (kind `bad-annotations`). A quotation mark that is opened and not closed is
            refused, because all later rows would be one field.
    """
    text = decoded(file)
    first = text.lstrip("\r\n").split("\n", 1)[0]
    reader = csv.reader(StringIO(text, newline=""), delimiter=max(",;\t", key=first.count), strict=True)
    before = csv.field_size_limit(_FIELD_LIMIT)
    try:
        return [(reader.line_num, [field.strip() for field in row]) for row in reader if any(row)]
    except csv.Error as error:
        raise refused(file.name, f"is not CSV text: line {reader.line_num}: {error}") from None
    finally:
        csv.field_size_limit(before)


def read_table(file: SourceFile, name: FormatName) -> tuple[list[str], Iterator[TableRow]]:
    """Return the headings of a file of this format, and its rows.

    Raises:
        InputError: it has not the columns of the format (kind `other-format`, and the nearest format is named), or it
            is no CSV text (kind `bad-annotations`).
    """
    return _table(file, name, HEADINGS[name])


def read_columns(file: SourceFile, name: FormatName, columns: Sequence[str]) -> Iterator[TableRow]:
    """Return the rows of a file that must have these columns, which people named. Raises InputError as `read_table`."""
    headings = next((row for _, row in csv_rows(file)), [])
    absent = [column for column in columns if column not in headings]
    if absent and nearest_format(file.data) in ("", name):
        raise InputError(
            f"The file {file.name} has no column {absent[0]!r}; its columns are "
            f"{some((shown(heading) for heading in headings), _LISTED)}.",
            kind="other-format",
            hint="Write --columns NAME=COLUMN with the columns that there are.",
            paths=[file.name],
        )
    return _table(file, name, columns)[1]


def _table(file: SourceFile, name: FormatName, columns: Sequence[str]) -> tuple[list[str], Iterator[TableRow]]:
    rows = iter(csv_rows(file))
    _, headings = next(rows, (0, []))
    for column in columns:
        if headings.count(column) != 1:
            times = "no column" if column not in headings else "more than one column"
            raise other_format(file.name, file.data, name, f"its first line has {times} {column!r}")
    return headings, _fitted(headings, rows)


def _fitted(headings: Sequence[str], rows: Iterator[tuple[int, list[str]]]) -> Iterator[TableRow]:
    for number, (line, row) in enumerate(rows, start=1):
        beyond = any(row[len(headings) :])
        fault = f"it has {len(row)} fields, not {len(headings)}" if beyond or len(row) < len(headings) else ""
        yield TableRow(number, line, dict(zip(headings, row, strict=False)), fault)
