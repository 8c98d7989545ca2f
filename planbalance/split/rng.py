"""A seeded random number generator that gives the same numbers on every machine and Python."""

from hashlib import sha256
from random import Random


class Rng:
    """A stream of pseudo-random choices.

    Python promises only for `random.Random.random()` that it stays the same across versions (library reference, "Notes
    on reproducibility"), so no other method is used. The seed is hashed, so that -1 and 1 are different seeds.
    """

    def __init__(self, *seed: object) -> None:
        name = "\0".join(str(part) for part in seed)
        self.random = Random(int.from_bytes(sha256(name.encode()).digest())).random  # noqa: S311 - reproducible on purpose, nothing secret

    def below(self, count: int) -> int:
        """Return an integer in [0, count)."""
        return int(self.random() * count)

    def shuffle(self, items: list[int]) -> None:
        """Shuffle in place (Fisher and Yates)."""
        random = self.random
        for last in range(len(items) - 1, 0, -1):
            other = int(random() * (last + 1))
            items[last], items[other] = items[other], items[last]
