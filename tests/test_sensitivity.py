"""What a test set can tell: Wilson's interval, against scipy's values and against its definition."""

from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planbalance.sensitivity import MEASURED, WITHIN, interval, needed_sentence, patients_needed, sentence


@pytest.mark.parametrize(
    ("positives", "lower", "upper", "off"),
    [(1, 15.01, 99.45, 70), (14, 59.26, 95.67, 26), (73, 75.08, 91.42, 10), (1000, 82.65, 87.08, 3)],
)
def test_values_that_are_known(positives: int, lower: float, upper: float, off: int) -> None:
    found = interval(positives)
    assert found is not None
    assert (round(found.lower, 2), round(found.upper, 2), found.off) == (lower, upper, off)


@pytest.mark.parametrize(("positives", "ends"), [(20, (0.639581, 0.947631)), (100, (0.767164, 0.906940))])
def test_it_is_the_interval_that_scipy_gives(positives: int, ends: tuple[float, float]) -> None:
    """Of 17 of 20 and of 85 of 100: `scipy.stats.binomtest(17, 20).proportion_ci(0.95, method="wilson")`."""
    found = interval(positives)
    assert found is not None
    assert (round(found.lower / 100, 6), round(found.upper / 100, 6)) == ends


def test_so_many_patients_are_needed_for_ten_points() -> None:
    assert patients_needed() == 73
    one_fewer = interval(72)
    assert one_fewer is not None
    assert one_fewer.distance > WITHIN


@given(st.integers(1, 10**7))
def test_at_its_ends_the_measured_value_is_just_as_far_as_chance_goes(positives: int) -> None:
    """The definition of a score interval: at a true value p, z standard errors sqrt(p (1 - p) / n) reach the value."""
    found = interval(positives)
    assert found is not None
    for end in found:
        assert abs(MEASURED - end) / 100 == pytest.approx(1.959964 * sqrt(end / 100 * (1 - end / 100) / positives))
    assert 0 < found.lower < MEASURED < found.upper < 100


@given(st.integers(1, 10**7))
def test_more_patients_never_tell_less(positives: int) -> None:
    fewer, more = interval(positives), interval(positives + 1)
    assert fewer is not None
    assert more is not None
    assert more.distance < fewer.distance
    assert (more.off <= WITHIN) == (positives + 1 >= patients_needed())


def test_it_is_said_in_plain_words() -> None:
    assert sentence("test", 14, "patient") == (
        "Test has 14 positive patients: a sensitivity of 85 % may be off by up to 26 points (95 %)."
    )
    assert sentence("val", 1, "volume") == (
        "Val has 1 positive volume: a sensitivity of 85 % may be off by up to 70 points (95 %)."
    )
    assert sentence("val", 0, "volume") == "Val has no positive volume: a sensitivity cannot be measured."
    assert needed_sentence("volume") == "For at most 10 points, a split needs 73 positive volumes."
