"""What hypothesis draws from: units to split, ratios, candidates to sample."""

from decimal import Decimal

from hypothesis import strategies as st

from planbalance.planner.sample import Candidate
from planbalance.split import Unit


@st.composite
def units(draw: st.DrawFn, smallest: int = 3, largest: int = 40) -> list[Unit]:
    """Units with uneven sizes, some positive, two classes and one trait."""
    sizes = draw(
        st.lists(
            st.tuples(st.integers(1, 60), st.integers(0, 20), st.integers(0, 9), st.sampled_from("AB")),
            min_size=smallest,
            max_size=largest,
        )
    )
    return [
        Unit(
            id=f"v{index:03d}",
            slices=rest + positives,
            positives=positives,
            classes=tuple((class_id, boxes) for class_id, boxes in ((0, positives), (7, more)) if boxes and positives),
            traits=(site,),
        )
        for index, (rest, positives, more, site) in enumerate(sizes)
    ]


@st.composite
def ratios(draw: st.DrawFn, *, zeros: bool = True) -> tuple[Decimal, Decimal, Decimal]:
    """Three exact ratios that sum to 1, train never 0."""
    least = 0 if zeros else 1
    val = draw(st.integers(least, 40))
    test = draw(st.integers(least, 40))
    return Decimal(100 - val - test) / 100, Decimal(val) / 100, Decimal(test) / 100


@st.composite
def candidates(draw: st.DrawFn) -> dict[str, list[Candidate]]:
    """Negatives of a few volumes, some without a number."""
    counts = draw(st.lists(st.integers(0, 30), min_size=1, max_size=12))
    return {
        f"v{volume}": [
            Candidate(f"v{volume}", None if index % 11 == 10 else index, f"s{index}.png") for index in range(count)
        ]
        for volume, count in enumerate(counts)
    }
