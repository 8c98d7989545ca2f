"""Sets of names that grow as pairs are joined (a disjoint-set forest, "union-find"). Pure."""

from collections import defaultdict
from collections.abc import Iterable


class UnionFind:
    """A disjoint-set forest over names; a name that was never joined is a set of its own."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}

    def join(self, names: Iterable[str]) -> None:
        """Put names into one set."""
        first = ""
        for name in names:
            root = self.root(name)
            if not first:
                first = root
            elif root != first:
                self._parents[root] = first

    def root(self, name: str) -> str:
        """Return the name that represents the set of a name; paths are halved on the way, so that they stay short."""
        parents = self._parents
        while (parent := parents.get(name, name)) != name:
            parents[name] = name = parents.get(parent, parent)
        return name

    def sets(self) -> list[tuple[str, ...]]:
        """Return the sets of two or more names, each sorted, in sorted order."""
        members: defaultdict[str, set[str]] = defaultdict(set)
        for name in self._parents:
            root = self.root(name)
            members[root] |= {root, name}
        return sorted(tuple(sorted(names)) for names in members.values())
