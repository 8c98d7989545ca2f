"""The page's plots, drawn by Matplotlib: balance, distributions over volumes, boxes per class.

Each is drawn twice, for a wide window and for a phone; the style sheet shows one of them. A table beside a plot has its
numbers, and each bar has a tooltip with its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from planbalance.model import SPLITS
from planbalance.page.boxes import BoxFacts, ClassRow
from planbalance.page.svg import COLOURS, DOTS_PER_INCH, inline, matplotlib, settings
from planbalance.render.histogram import Histogram, Row

_WIDE: Final = 760  # pixels
_NARROW: Final = 340
_LINE: Final = 16  # of text
_LONGEST_NAME: Final = 26  # letters of a class; its table has the rest
_LEFT_OUT: Final = "left-out"


class Plot(NamedTuple):
    """A plot as two `svg` elements, escaped."""

    wide: str
    narrow: str


class PlotUnit(NamedTuple):
    """What a distribution counts: `volume`, `volumes`, their `slices per volume`, and the words on the axis."""

    thing: str
    several: str
    of: str
    axis: str
    role: str = "kept"
    tenths: bool = False

    def shown(self, value: int) -> str:
        """Return a value for a person."""
        return f"{value / 10:.1f}" if self.tenths else f"{value:,}"


class BalanceRow(NamedTuple):
    """One bar of slices: `left_out` are negative ones that undersampling drops."""

    name: str
    note: str
    positives: int
    negatives: int
    left_out: int


def balance(rows: Sequence[BalanceRow]) -> Plot:
    """Return one bar for each row, all on one scale."""
    alt = "Slices: " + "; ".join(
        f"{row.name} {row.note}: {row.positives:,} positive, {row.negatives:,} negative".replace(" :", ":")
        + (f", {row.left_out:,} left out" if row.left_out else "")
        for row in rows
    )
    return _both(lambda sheet: _balance(sheet, rows), 46, 46, len(rows), alt)


def distribution(found: Histogram, unit: PlotUnit) -> Plot:
    """Return a histogram for each split, below each other on the same scales, with median and middle half."""
    rows = [row for row in found.rows if row.total]
    alt = f"{unit.of.capitalize()}: " + "; ".join(f"{row.name} {_spread(row, unit)}" for row in rows)
    return _both(lambda sheet: _distribution(sheet, found, rows, unit), 88, 104, len(rows), alt, extra=2 * _LINE)


def classes(found: BoxFacts) -> Plot:
    """Return a panel for each split: the boxes of each class, on the split's own scale."""
    rows = found.rows
    alt = "Boxes per class: " + "; ".join(
        f"{split} {sum(row.boxes[index] for row in rows):,}" for index, split in enumerate(SPLITS)
    )
    height = 20 * len(rows) + 2 * _LINE
    wide, narrow = _Sheet(_WIDE, height), _Sheet(_NARROW, 3 * (height + 8))
    with settings():
        _classes(wide, rows, panels=[(190 + 190 * index, 2 * _LINE, 130) for index in range(3)])
        _classes(narrow, rows, panels=[(150, 2 * _LINE + (height + 8) * index, 130) for index in range(3)])
        return Plot(wide.svg("wide", alt), narrow.svg("narrow", alt))


def _both(
    draw: Callable[["_Sheet"], None], wide_row: int, narrow_row: int, rows: int, alt: str, *, extra: int = 0
) -> Plot:
    wide = _Sheet(_WIDE, wide_row * rows + extra)
    narrow = _Sheet(_NARROW, narrow_row * rows + extra)
    with settings():
        draw(wide)
        draw(narrow)
        return Plot(wide.svg("wide", alt), narrow.svg("narrow", alt))


# ---- a sheet --------------------------------------------------------------------------------------------------------


@dataclass
class _Sheet:
    """A figure; positions in it are pixels from its upper left corner."""

    width: int
    height: int
    texts: dict[str, str] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    _figure: Any = None

    @property
    def is_narrow(self) -> bool:
        """Whether it is for a phone."""
        return self.width < _WIDE

    @property
    def figure(self) -> Any:  # noqa: ANN401 - a Figure
        """The figure; it must first be asked for within `settings`."""
        if self._figure is None:
            size = (self.width / DOTS_PER_INCH, self.height / DOTS_PER_INCH)
            self._figure = matplotlib().figure.Figure(figsize=size, dpi=DOTS_PER_INCH)
            self._figure.patch.set_visible(False)
        return self._figure

    def axes(self, left: float, top: float, width: float, height: float) -> Any:  # noqa: ANN401 - Axes
        """Return empty axes: no frame, no ticks."""
        rectangle = (
            left / self.width, 1 - (top + height) / self.height, width / self.width, height / self.height
        )  # fmt: skip
        axes = self.figure.add_axes(rectangle)
        axes.patch.set_visible(False)
        axes.spines[:].set_visible(False)
        axes.tick_params(bottom=False, left=False, labelbottom=False, labelleft=False, labelcolor=COLOURS["soft"])
        return axes

    def write(self, text: str, left: float, top: float, *, role: str = "ink", end: bool = False) -> None:
        """Write one line of text with its middle at `top`, beginning or ending at `left`."""
        self.figure.text(
            left / self.width, 1 - top / self.height, text, color=COLOURS[role], parse_math=False,
            va="center_baseline", ha="right" if end else "left",
        )  # fmt: skip

    def add_tooltip(self, artist: Any, title: str) -> None:  # noqa: ANN401 - an Artist
        """Give an artist a text that is shown where the pointer rests on it."""
        gid = f"tooltip-{len(self.titles)}"
        artist.set_gid(gid)
        self.titles[gid] = title

    def svg(self, kind: str, alt: str) -> str:
        """Return the sheet as an `svg` element."""
        return inline(self.figure, kind, alt=alt, texts=self.texts, titles=self.titles)


# ---- balance --------------------------------------------------------------------------------------------------------


def _balance(sheet: _Sheet, rows: Sequence[BalanceRow]) -> None:
    longest = max((row.positives + row.negatives + row.left_out for row in rows), default=0) or 1
    for index, row in enumerate(rows):
        top = 46 * index
        name = f"{row.name} {row.note}".rstrip()
        ratio = f"{row.positives:,} : {row.negatives:,}"
        share = f"{_percent(row.positives, row.positives + row.negatives)} positive"
        if sheet.is_narrow:
            sheet.write(name, 0, top + 12)
            sheet.write(f"{ratio}, {share}", sheet.width, top + 12, end=True)
            axes = sheet.axes(0, top + 22, sheet.width, 16)
        else:
            sheet.write(name, 0, top + 23)
            sheet.write(ratio, sheet.width, top + 15, end=True)
            sheet.write(share, sheet.width, top + 15 + _LINE, role="soft", end=True)
            axes = sheet.axes(120, top + 9, 490, 28)
        axes.set_xlim(0, longest)
        axes.set_ylim(-0.5, 0.5)
        begin = 0
        parts = (("positive", row.positives), ("kept", row.negatives), (_LEFT_OUT, row.left_out))
        for role, number in parts:
            if number:
                bars = axes.barh([0], [number], left=begin, height=0.98, color=COLOURS[role], linewidth=0)
                sheet.add_tooltip(bars[0], f"{number:,} {_WORDS[role]}")
                begin += number


_WORDS: Final = {"positive": "positive", "kept": "negative", _LEFT_OUT: "negative, left out"}


# ---- distributions --------------------------------------------------------------------------------------------------


def _distribution(sheet: _Sheet, found: Histogram, rows: Sequence[Row], unit: PlotUnit) -> None:
    tallest = max(bar.number / row.total for row in rows for bar in row.bars)
    for index, row in enumerate(rows):
        axes = _row_axes(sheet, row, unit, index)
        axes.set_xlim(found.low - 0.5, found.low + found.bins * found.width - 0.5)
        axes.set_ylim(0, 1.05 * tallest)
        _grid(axes)
        bars = axes.bar(
            [(bar.low + bar.high) / 2 for bar in row.bars],
            [bar.number / row.total for bar in row.bars],
            width=0.92 * found.width, color=COLOURS[unit.role], linewidth=0,
        )  # fmt: skip
        for artist, bar in zip(bars, row.bars, strict=True):
            to = f"\N{EN DASH}{unit.shown(bar.high)}" if bar.high > bar.low else ""
            sheet.add_tooltip(artist, f"{unit.shown(bar.low)}{to}: {bar.number:,} ({_percent(bar.number, row.total)})")
        _middle(axes, row)
        if index == len(rows) - 1:
            _value_axis(axes, unit)
            sheet.write(unit.axis, 160 + 430 if not sheet.is_narrow else sheet.width, sheet.height - 8,
                      role="soft", end=True)  # fmt: skip


def _row_axes(sheet: _Sheet, row: Row, unit: PlotUnit, index: int) -> Any:  # noqa: ANN401 - Axes
    assert row.quartiles is not None, "rows without a value are not drawn"
    things = f"{row.total:,} {unit.thing if row.total == 1 else unit.several}"
    median = f"median {unit.shown(row.quartiles[2])}"
    half = f"middle half {unit.shown(row.quartiles[1])}\N{EN DASH}{unit.shown(row.quartiles[3])}"
    if sheet.is_narrow:
        top = 104 * index
        sheet.write(f"{row.name}, {things}", 0, top + 12)
        sheet.write(median, sheet.width, top + 12, role="soft", end=True)
        return sheet.axes(48, top + 26, sheet.width - 48, 58)
    top = 88 * index
    sheet.write(row.name, 0, top + 50)
    sheet.write(things, 0, top + 50 + _LINE, role="soft")
    sheet.write(median, 608, top + 50, role="soft")
    sheet.write(half, 608, top + 50 + _LINE, role="soft")
    return sheet.axes(160, top + 8, 430, 64)


def _grid(axes: Any) -> None:  # noqa: ANN401 - Axes
    ticker = matplotlib().ticker
    axes.yaxis.set_major_locator(ticker.MaxNLocator(nbins=2, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda share, _: f"{100 * share:g} %"))
    axes.tick_params(labelleft=True)
    axes.grid(axis="y", color=COLOURS["rule"], linewidth=1)
    axes.set_axisbelow(True)


def _middle(axes: Any, row: Row) -> None:  # noqa: ANN401 - Axes
    """Draw the middle half as a line below the bars, and the median as a stroke across it."""
    assert row.quartiles is not None
    _, lower, median, upper, _ = row.quartiles
    below = axes.get_xaxis_transform()
    line = {"transform": below, "clip_on": False, "color": COLOURS["ink"], "solid_capstyle": "butt"}
    axes.plot([lower, upper], [-0.08, -0.08], linewidth=1.5, **line)
    axes.plot([median, median], [-0.14, -0.02], linewidth=2.5, **line)


def _value_axis(axes: Any, unit: PlotUnit) -> None:  # noqa: ANN401 - Axes
    ticker = matplotlib().ticker
    axes.xaxis.set_major_locator(ticker.MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: unit.shown(round(value)).removesuffix(".0")))
    axes.tick_params(axis="x", labelbottom=True, pad=11)


# ---- boxes per class ------------------------------------------------------------------------------------------------


def _classes(sheet: _Sheet, rows: Sequence[ClassRow], panels: Sequence[tuple[float, float, float]]) -> None:
    for index, (split, (left, top, width)) in enumerate(zip(SPLITS, panels, strict=True)):
        numbers = [row.boxes[index] for row in rows]
        axes = sheet.axes(left, top, width, 20 * len(rows))
        axes.set_xlim(0, max(numbers, default=0) or 1)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        bars = axes.barh(range(len(rows)), numbers, height=0.7, color=COLOURS["positive"], linewidth=0)
        sheet.write(f"{split}, {sum(numbers):,} boxes", left, top - _LINE)
        for line, (row, bar) in enumerate(zip(rows, bars, strict=True)):
            middle = top + 20 * line + 10
            sheet.add_tooltip(bar, f"{row.name}: {row.boxes[index]:,} boxes in {row.slices[index]:,} slices")
            length = width * row.boxes[index] / (max(numbers) or 1)
            role = "soft" if row.boxes[index] else "ink"
            sheet.write(f"{row.boxes[index]:,}", left + length + 5, middle, role=role)
            if index == 0 or sheet.is_narrow:
                sheet.texts[f"class {line}"] = _cut(row.name, 20 if sheet.is_narrow else _LONGEST_NAME)
                sheet.write(f"class {line}", left - 8, middle, end=True)


def _cut(name: str, longest: int) -> str:
    return name if len(name) <= longest else name[: longest - 1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"


# ---- words ----------------------------------------------------------------------------------------------------------


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "\N{EN DASH}"


def _spread(row: Row, unit: PlotUnit) -> str:
    assert row.quartiles is not None, "rows without a value are not described"
    least, _, median, _, greatest = map(unit.shown, row.quartiles)
    return f"median {median}, from {least} to {greatest}"
