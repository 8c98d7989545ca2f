"""What must stay together: sets of units that grow as ties between them come in. Pure."""

from collections import Counter
from collections.abc import Iterable

from planbalance.audit.leak_counts import Spread
from planbalance.model import Split


class UnionFind:
    """A disjoint-set forest over names."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}

    def tie(self, units: Iterable[str]) -> None:
        """Put units into one set."""
        first = ""
        for unit in units:
            root = self.root(unit)
            if not first:
                first = root
            elif root != first:
                self._parents[root] = first

    def root(self, unit: str) -> str:
        """Return what stands for the set of a unit; paths are halved on the way, so that they stay short."""
        parents = self._parents
        while (parent := parents.get(unit, unit)) != unit:
            parents[unit] = unit = parents.get(parent, parent)
        return unit

    def spread(self, units: Spread[str]) -> Spread[str]:
        """Return counts by set from counts by unit."""
        sets: Spread[str] = {}
        for unit, counts in units.items():
            sets.setdefault(self.root(unit), Counter[Split]()).update(counts)
        return sets
