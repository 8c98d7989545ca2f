"""The same plan, to the byte, on every machine and Python: `make test-pythons` and `make test-lowest` run this too."""

from planbalance.planner import PlanOptions, make_plan
from tests.builders import mixed_volumes
from tests.planning import snapshot_of

# Of the plan format and the algorithms of 0.1. A change here means that everybody's plans change: say so in CHANGELOG.
DIGEST = "0e30fe679598792a447bcf94d675e1e2932b945e8a73f37cd9ec77c488f4558d"
SPLIT_DIGEST = "0a8d770f2ab705989a70fe7b830b3e702bbdcee8e7432592711b4951e1274674"


def test_a_plan_has_the_digest_that_it_had_elsewhere() -> None:
    sealed = make_plan(snapshot_of(mixed_volumes(12, 30, seed=5)), PlanOptions("/data/out"))
    assert (sealed.header.digest, sealed.header.split_digest) == (DIGEST, SPLIT_DIGEST)
