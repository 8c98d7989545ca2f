"""The benchmark of splitters: its measures on splits counted by hand, its instances, and what it prints."""

from collections import Counter
from decimal import Decimal
from fractions import Fraction

import pytest
from click.testing import CliRunner

from benchmarks.splitters import __main__ as program
from benchmarks.splitters.instances import draw_units, equal_units, knee_units, patient_units, synth_units
from benchmarks.splitters.measures import Measures, mean_of, measure_split
from benchmarks.splitters.rivals import SPLITTERS, Splitter
from planbalance.split import SplitRequest, Unit, split_units
from tests import fastmri

RATIOS = [Fraction(7, 10), Fraction(3, 20), Fraction(3, 20)]


def ten_and_three() -> list[Unit]:
    """Return 20 units of 10 slices: class 0 is in the first 10, with 2 boxes each, class 1 in the first 3."""
    return [
        Unit(
            f"u{i:02}",
            10,
            1 if i < 10 else 0,
            ((0, 2), *(((1, 1),) if i < 3 else ())) if i < 10 else (),
            ("MF"[i % 2],),
        )
        for i in range(20)
    ]


def test_measures_count_what_their_page_says() -> None:
    part_of = [0] * 6 + [1] * 3 + [2] + [0] * 7 + [1] * 3  # class 0: 6, 3, 1 units; class 1: 3, 0, 0
    measures = measure_split(ten_and_three(), part_of, RATIOS)
    # Targets of 10 positives are 7, 2, 1 and of 190 negatives... 190 = 200 - 10: 133, 29, 28.
    assert measures.positives_off == 1 + 1 + 0
    assert measures.slices_off == 2 + (abs(124 - 133) + abs(57 - 29) + abs(9 - 28))
    assert measures.quotas_off == (1 + 1 + 0) + (0 + 1 + 1)
    assert measures.boxes_worst == pytest.approx(15)  # class 1 has 3 units: too few to count
    assert measures.boxes_mean == measures.volumes_mean == pytest.approx((10 + 15 + 5) / 3)
    assert measures.zero == 2
    assert measures.outside == 2 + 2  # class 0: 6 and 3; class 1: none in val and test


def test_a_class_of_three_units_is_inside_with_one_in_each_split() -> None:
    part_of = [0, 1, 2, *[0] * 6, 1, *[0] * 7, 1, 2, 2]
    measures = measure_split(ten_and_three(), part_of, RATIOS)
    assert (measures.zero, measures.outside) == (0, 0)


def test_a_class_of_two_units_may_be_missing_in_a_split() -> None:
    units = [Unit("a", 5, 1, ((0, 1),)), Unit("b", 5, 1, ((0, 1),)), *(Unit(str(i), 5, 0) for i in range(3))]
    measures = measure_split(units, [0, 0, 0, 1, 2], RATIOS)
    assert (measures.zero, measures.outside) == (0, 0)


def test_worst_is_the_mean_of_the_worst_of_each_split() -> None:
    one, two = Measures(*[0.0] * 10), Measures(*[3.0] * 10)
    assert mean_of([one, two]) == Measures(*[1.5] * 10)


def test_instances_are_what_their_page_says() -> None:
    synth, equal, patients = synth_units(), equal_units(), patient_units()
    counts = [(len(units), sum(unit.positives > 0 for unit in units)) for units in (synth, equal, patients)]
    assert counts == [(550, 93), (93, 30), (320, 140)]
    assert {unit.slices for unit in equal} == {160}
    holders = Counter(class_id for unit in patients for class_id, _ in unit.classes)
    assert sorted(holders.values())[:6] == [3, 4, 5, 6, 8, 9]
    assert {unit.volumes for unit in patients} == {1, 2, 3, 4, 5, 6}


@fastmri.needs_annotations
def test_knee_is_the_set_of_fastmri_plus() -> None:
    units = knee_units()
    assert (len(units), sum(unit.positives > 0 for unit in units)) == (1_172, 663)
    assert len({class_id for unit in units for class_id, _ in unit.classes}) == 21


def test_the_table_says_which_splitters_are_skipped_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(units: object, seed: int) -> None:
        raise ImportError("No module named 'rival'")

    rival = Splitter("rival", ("rival-package",), missing)  # type: ignore[arg-type]  # it never returns
    monkeypatch.setattr("benchmarks.splitters.__main__.SPLITTERS", (SPLITTERS[0], rival))
    result = CliRunner().invoke(program.main, ["--seeds", "2", "--instance", "one-class"])
    assert result.exit_code == 0, result.output
    assert "| planbalance | 0 (0) | 0.0 | – | – | – | – | – | 2 of 2 |" in result.stdout
    assert "one-class: rival skipped, No module named 'rival'; pip install rival-package" in result.stderr


def test_slices_and_quotas_agree_with_the_splitters_own_result() -> None:
    units = draw_units(1)
    result = split_units(units, SplitRequest((Decimal("0.7"), Decimal("0.15"), Decimal("0.15")), 1))
    part_of = [("train", "val", "test").index(result.split_of[unit.id]) for unit in units]
    measures = measure_split(units, part_of, RATIOS)
    assert measures.slices_off == result.distance
    assert measures.quotas_off == sum(target.distance for target in result.quotas.values())
