"""Class and trait shares: how the boxes of each class, and the units with each trait value, are divided over the parts.

They decide between placements that are equally close to the slice targets.
"""

from collections.abc import Sequence

from planbalance.split.task import Features

# The cost of a deviation by one percentage point; the cost grows with the square of the deviation.
POINT = 10**14

Swaps = list[tuple[int, int]]
"""(unit of part here, unit of part there)."""


def share_weight(total: int) -> int:
    """Return the weight of the squared deviation of a feature with `total` boxes or units.

    A deviation by one percentage point costs POINT, whatever the total; below a total of 100 it costs less.
    """
    return POINT * 100 * min(total, 100) // max(total, 100) ** 2


class Shares:
    """How far features are from the wanted amounts, kept up to date under swaps.

    The cost is the sum of the weighted squares of all deviations.

    Attributes:
        features: classes and trait values.
        excess: feature -> part -> amount less the wanted amount.
    """

    def __init__(self, features: Features, part_of: Sequence[int]) -> None:
        self.features = features
        self.excess = [list(parts) for parts in features.excess]
        for pairs, part in zip(features.of, part_of, strict=True):
            for feature, amount in pairs:
                self.excess[feature][part] += amount

    def penalty(self, feature: int, part: int, amount: int) -> int:  # noqa: ARG002 - one for all parts here
        """Return the cost of one feature in one part at this excess."""
        return self.features.weights[feature] * amount * amount

    def cost(self) -> tuple[int, int]:
        """Return the cost of the classes, then that of the traits."""
        costs = [
            sum([self.penalty(feature, part, amount) for part, amount in enumerate(parts)])
            for feature, parts in enumerate(self.excess)
        ]
        return sum(costs[: self.features.classes]), sum(costs[self.features.classes :])

    def gains(self, swaps: Swaps) -> dict[int, int]:
        """Return feature -> what the part `here` gains from swaps between two parts; the other part loses it."""
        of = self.features.of
        gains: dict[int, int] = {}
        for a, b in swaps:
            for feature, amount in of[b]:
                gains[feature] = gains.get(feature, 0) + amount
            for feature, amount in of[a]:
                gains[feature] = gains.get(feature, 0) - amount
        return gains

    def change(self, gains: dict[int, int], here: int, there: int) -> tuple[int, int]:
        """Return by how much the cost of classes and of traits would change."""
        weights, classes = self.features.weights, self.features.classes
        change = [0, 0]
        for feature, gain in gains.items():
            parts = self.excess[feature]
            # (h + g)^2 - h^2 + (t - g)^2 - t^2 of the two parts' excess h and t
            change[feature >= classes] += 2 * weights[feature] * gain * (parts[here] - parts[there] + gain)
        return change[0], change[1]

    def take(self, gains: dict[int, int], here: int, there: int) -> None:
        """Apply gains."""
        for feature, gain in gains.items():
            self.excess[feature][here] += gain
            self.excess[feature][there] -= gain


class ZonedShares(Shares):
    """Shares that cost nothing within their zone, so that a search may move freely there.

    They use the excess of the `Shares` that they are made from, which stays up to date.
    """

    def __init__(self, shares: Shares) -> None:
        super().__init__(shares.features, [0] * len(shares.features.of))
        self.excess = shares.excess

    def met(self) -> bool:
        """Return whether every class that is not rare is within its zone."""
        return not any(
            self.penalty(feature, part, amount)
            for feature in range(self.features.classes)
            if not self.features.rare[feature]
            for part, amount in enumerate(self.excess[feature])
        )

    def penalty(self, feature: int, part: int, amount: int) -> int:
        """Return the cost of one feature in one part at this excess."""
        low, high = self.features.zones[feature][part]
        beyond = amount - high if amount > high else min(0, amount - low)
        return self.features.weights[feature] * beyond * beyond

    def change(self, gains: dict[int, int], here: int, there: int) -> tuple[int, int]:
        """Return by how much the cost of classes and of traits would change."""
        penalty, classes = self.penalty, self.features.classes
        change = [0, 0]
        for feature, gain in gains.items():
            if gain:
                h, t = self.excess[feature][here], self.excess[feature][there]
                change[feature >= classes] += (
                    penalty(feature, here, h + gain)
                    - penalty(feature, here, h)
                    + penalty(feature, there, t - gain)
                    - penalty(feature, there, t)
                )
        return change[0], change[1]
