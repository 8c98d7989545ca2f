"""Seeded draws that are the same on every machine and Python."""

from hashlib import sha256
from random import Random


class Draws:
    """A stream of pseudo-random choices.

    Of `random.Random` only `random()` is promised to stay the same across Python versions (library reference, "Notes on
    reproducibility"), so nothing else of it is used. The seed is hashed: -1 and 1 are then different seeds.
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
