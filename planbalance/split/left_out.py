"""Leave one value out: the units of each value in turn are test, and the others are split into train and val."""

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from planbalance.errors import InputError
from planbalance.model import Split
from planbalance.split.solver import split_units
from planbalance.split.units import STRATA, Balance, ClassShare, Method, Share, SplitRequest, SplitResult, Target, Unit

_TEST = 2
_NOTHING: Final = Share(Target((0, 0, 0), (0, 0, 0)), Decimal(0))


def split_left_out(
    units: Sequence[Unit],
    value_of: Mapping[str, str],
    ratios: tuple[Decimal, Decimal, Decimal],
    seed: int,
    method: Method = "optimal",
    balance: Balance = "patients",
) -> dict[str, SplitResult]:
    """Return one split for each value, sorted by value: its units are test, the others are train and val.

    Val gets val/(train+val) of the others, by the objective of `split_units`; `ratios[2]` is not used. What is wanted
    of test is what the units of the value hold, and deviations of classes and traits are those of train and val.

    Args:
        units: in any order, ids unique.
        value_of: unit id -> value, for every unit.
        ratios: of train and val; they need not sum to 1.
        seed: any integer, the same for every value.
        method: as in `SplitRequest`.
        balance: as in `SplitRequest`.

    Raises:
        InputError: beside one of the values there are fewer units than train and val need.
    """
    units = sorted(units)
    needed = sum(ratio > 0 for ratio in ratios[:2])
    request = SplitRequest((ratios[0], ratios[1], Decimal(0)), seed, method, balance)
    results = {}
    for value in sorted(set(value_of.values())):
        others = [unit for unit in units if value_of[unit.id] != value]
        if len(others) < needed:
            raise InputError(
                f"Without {value} there are fewer groups than train and val need: {len(others)} for {needed}.",
                kind="too-few-groups",
                hint="Give more volumes, or ratio 0 for val.",
            )
        tested = [unit for unit in units if value_of[unit.id] == value]
        results[value] = _with_test(split_units(others, request), tested)
    return results


def _with_test(rest: SplitResult, tested: Sequence[Unit]) -> SplitResult:
    """Return the split of the other units with the units in test added; what test holds is what was wanted of it."""
    places: dict[str, Split] = {**rest.split_of, **{unit.id: "test" for unit in tested}}
    strata = {"positive": sum(unit.positives > 0 for unit in tested)}
    strata["negative"] = len(tested) - strata["positive"]
    return rest._replace(
        split_of=dict(sorted(places.items())),
        quotas={stratum: _raised(rest.quotas[stratum], strata[stratum]) for stratum in STRATA},
        units=(rest.units[0], rest.units[1], len(tested)),
        volumes=(rest.volumes[0], rest.volumes[1], sum(unit.volumes for unit in tested)),
        positives=_raised(rest.positives, sum(unit.positives for unit in tested)),
        negatives=_raised(rest.negatives, sum(unit.slices - unit.positives for unit in tested)),
        classes=_classes(rest.classes, tested),
        traits=tuple(
            _shares(column, Counter(unit.traits[index] for unit in tested)) for index, column in enumerate(rest.traits)
        ),
    )


def _raised(target: Target, number: int) -> Target:
    return Target((*target.wanted[:_TEST], number), (*target.reached[:_TEST], number))


def _classes(rest: Mapping[int, ClassShare], tested: Sequence[Unit]) -> dict[int, ClassShare]:
    """Return the shares of each class with the units in test added; the floor is that of train and val."""
    boxes: Counter[int] = Counter()
    groups: Counter[int] = Counter()
    for unit in tested:
        there = {class_id: count for class_id, count in unit.classes if count}
        boxes.update(there)
        groups.update(there.keys())
    several = len({*rest, *groups}) > 1
    nothing = ClassShare(_NOTHING, _NOTHING, ((0, 0),) * 3, Decimal(0) if several else None)
    found = {class_id: rest.get(class_id, nothing) for class_id in sorted({*rest, *groups})}
    return {
        class_id: share._replace(
            boxes=_share(share.boxes, boxes[class_id]),
            groups=_share(share.groups, groups[class_id]),
            ranges=(*share.ranges[:_TEST], (groups[class_id], groups[class_id])),
        )
        for class_id, share in found.items()
    }


def _shares(rest: Mapping[str, Share], tested: Mapping[str, int]) -> dict[str, Share]:
    return {value: _share(rest.get(value, _NOTHING), tested.get(value, 0)) for value in sorted({*rest, *tested})}


def _share(share: Share, number: int) -> Share:
    return share._replace(counts=_raised(share.counts, number))
