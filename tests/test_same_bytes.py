"""The same plan, to the byte, on every machine and Python: `make test-pythons` and `make test-lowest` run this too."""

from decimal import Decimal
from hashlib import sha256

from planbalance.planner import PlanOptions, make_plan
from planbalance.split import SplitRequest, Unit, split_units
from tests.builders import mixed_volumes
from tests.planning import snapshot_of

# Of the plan format and the algorithms of 0.1. A change here means that everybody's plans change: say so in CHANGELOG.
DIGEST = "0e30fe679598792a447bcf94d675e1e2932b945e8a73f37cd9ec77c488f4558d"
SPLIT_DIGEST = "0a8d770f2ab705989a70fe7b830b3e702bbdcee8e7432592711b4951e1274674"


def test_a_plan_has_the_digest_that_it_had_elsewhere() -> None:
    sealed = make_plan(snapshot_of(mixed_volumes(12, 30, seed=5)), PlanOptions("/data/out"))
    assert (sealed.header.digest, sealed.header.split_digest) == (DIGEST, SPLIT_DIGEST)


def test_a_split_by_classes_is_the_same_on_every_python_and_machine() -> None:
    """The search compares floating-point numbers: it may use no function that differs between libraries."""
    units = [
        Unit(
            f"v{index:03d}",
            20 + index * index * 37 % 211,
            1 + index * 13 % 17,
            tuple((kind, 1 + index * (kind + 7) % 11) for kind in range(5) if index * (kind + 3) % 7 < 3 + kind % 3),
            ("AB"[index * 5 % 3 == 0],),
        )
        for index in range(90)
    ]
    result = split_units(units, SplitRequest((Decimal("0.7"), Decimal("0.15"), Decimal("0.15")), 42))
    assert result.exact
    said = " ".join(f"{unit}={split}" for unit, split in result.split_of.items())
    assert sha256(said.encode()).hexdigest()[:16] == "0605fe4ba6daa84d"
