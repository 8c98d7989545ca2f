"""Whole numbers in proportion: the largest-remainder rule (Hamilton's method), in exact arithmetic.

Every count that a plan wants follows it: the guide's own tables do (Step 3: 65/14/14 of 93 volumes at 70/15/15).
"""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from math import gcd


def largest_remainder(total: int, ratios: Sequence[Decimal | Fraction | int]) -> tuple[int, ...]:
    """Return integers in proportion to `ratios` that sum to `total`; equal remainders go to the earlier one.

    Ratios need not sum to 1 and none may be negative. A ratio of 0 gives 0; where all are 0, so is every count.
    """
    if all(isinstance(ratio, int) for ratio in ratios):
        return _apportion(total, [int(ratio) for ratio in ratios])
    weights = [Fraction(ratio) for ratio in ratios]
    common = 1
    for weight in weights:
        common = common * weight.denominator // gcd(common, weight.denominator)
    return _apportion(total, [int(weight * common) for weight in weights])


def _apportion(total: int, weights: Sequence[int]) -> tuple[int, ...]:
    whole = sum(weights)
    if not whole:
        return (0,) * len(weights)
    shares = [divmod(weight * total, whole) for weight in weights]
    counts = [count for count, _ in shares]
    order = sorted(range(len(shares)), key=lambda index: (-shares[index][1], index))
    for index in order[: total - sum(counts)]:
        counts[index] += 1
    return tuple(counts)
