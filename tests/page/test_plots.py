"""What the plots show is what was counted: read back from the shapes that were drawn."""

import re
from xml.etree import ElementTree

import pytest

from planbalance.page.boxes import BoxFacts, ClassRow
from planbalance.page.plots import BalanceRow, Plot, PlotUnit, balance, classes, distribution
from planbalance.render.histogram import histogram

pytest.importorskip("matplotlib")

BOTH = ("wide", "narrow")


def texts(svg: str) -> list[str]:
    return [one.text or "" for one in ElementTree.fromstring(svg).iter("text")]


def bars(svg: str) -> list[tuple[str, float, float]]:
    """Return (what it says, width, height) of every shape that says something."""
    found = []
    for path in ElementTree.fromstring(svg).iter("path"):
        title = path.find("title")
        if title is not None:
            xs = [float(x) for x in re.findall(r"[ML] (-?[\d.]+) -?[\d.]+", path.attrib["d"])]
            ys = [float(y) for y in re.findall(r"[ML] -?[\d.]+ (-?[\d.]+)", path.attrib["d"])]
            found.append((title.text or "", max(xs) - min(xs), max(ys) - min(ys)))
    return found


def sides(plot: Plot) -> dict[str, str]:
    return {"wide": plot.wide, "narrow": plot.narrow}


@pytest.mark.parametrize("side", BOTH)
def test_balance_is_as_long_as_it_counts(side: str) -> None:
    svg = sides(balance([BalanceRow("train", "before", 100, 300, 0), BalanceRow("train", "after", 100, 100, 200)]))[
        side
    ]
    drawn = bars(svg)
    assert [said for said, _, _ in drawn] == [
        "100 positive", "300 negative", "100 positive", "100 negative", "200 negative, left out",
    ]  # fmt: skip
    whole = drawn[0][1] + drawn[1][1]
    assert [width / whole for _, width, _ in drawn] == pytest.approx([0.25, 0.75, 0.25, 0.25, 0.5], abs=0.002)
    assert "train before: 100 positive, 300 negative; train after: 100 positive, 100 negative, 200 left out" in svg
    assert any("25.0 % positive" in text for text in texts(svg))


@pytest.mark.parametrize("side", BOTH)
def test_heights_are_shares_of_each_split(side: str) -> None:
    found = histogram({"train": [1, 1, 1, 2], "val": [2], "test": []})
    assert found is not None
    svg = sides(distribution(found, PlotUnit("volume", "volumes", "slices per volume", "slices")))[side]
    drawn = bars(svg)
    assert [said for said, _, _ in drawn] == ["1: 3 (75.0 %)", "2: 1 (25.0 %)", "2: 1 (100.0 %)"]
    assert [height / drawn[2][2] for _, _, height in drawn] == pytest.approx([0.75, 0.25, 1], abs=0.01)
    assert "test" not in " ".join(texts(svg)), "a split without a volume has no row"
    assert {"1", "2", "slices", "median 1", "median 2"} <= set(texts(svg))
    assert "Slices per volume: train median 1, from 1 to 2; val median 2, from 2 to 2" in svg


@pytest.mark.parametrize("side", BOTH)
@pytest.mark.parametrize("values", [[141], list(range(0, 1000, 7))], ids=["one value", "many"])
def test_sizes_are_told_in_percent(side: str, values: list[int]) -> None:
    found = histogram({"train": values})
    assert found is not None
    svg = sides(distribution(found, PlotUnit("box", "boxes", "box sizes", "% of the image", tenths=True)))[side]
    numbers = [text for text in texts(svg) if re.fullmatch(r"\d+(\.\d)?", text)]
    assert numbers
    assert len(set(numbers)) == len(numbers), "a tick is told once"
    assert {float(number) for number in numbers} <= {value / 10 for value in range(1001)}


@pytest.mark.parametrize("side", BOTH)
def test_classes_have_a_panel_a_split_and_names_are_text(side: str) -> None:
    rows = (
        ClassRow(0, "$\\frac{a}$ <b>", (40, 0, 5), (30, 0, 5), (9, 0, 1), (1, None, 1)),
        ClassRow(1, "تمزق الغضروف الهلالي في الركبة اليسرى", (10, 2, 5), (10, 2, 5), (1, 1, 1), (1, 1, 1)),
    )
    svg = sides(classes(BoxFacts(rows, (), None, 62, "")))[side]
    drawn = bars(svg)
    assert [said.rpartition(": ")[2] for said, _, _ in drawn] == [
        f"{boxes} boxes in {slices} slices" for boxes, slices in [(40, 30), (10, 10), (0, 0), (2, 2), (5, 5), (5, 5)]
    ]
    assert drawn[1][1] / drawn[0][1] == pytest.approx(0.25, abs=0.01)
    assert drawn[2][1] == 0
    said = texts(svg)
    assert "$\\frac{a}$ <b>" in said
    assert any(text.startswith("تمزق") and text.endswith("…") for text in said)
    assert {"train, 50 boxes", "val, 2 boxes", "test, 10 boxes"} <= set(said)
