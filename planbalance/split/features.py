"""What ties are broken by: how the boxes of each class, and the units with each trait value, fall on the parts."""

from collections.abc import Sequence

from planbalance.split.task import Features


def feature_excess(features: Features, part_of: Sequence[int]) -> list[list[int]]:
    """Return feature -> part -> amount less the wanted amount."""
    excess = [list(parts) for parts in features.excess]
    for pairs, part in zip(features.of, part_of, strict=True):
        for feature, amount in pairs:
            excess[feature][part] += amount
    return excess


def feature_cost(features: Features, part_of: Sequence[int]) -> tuple[int, int]:
    """Return the weighted squared deviations of the classes, then those of the traits."""
    costs = [
        weight * sum(amount * amount for amount in parts)
        for weight, parts in zip(features.weights, feature_excess(features, part_of), strict=True)
    ]
    return sum(costs[: features.classes]), sum(costs[features.classes :])
