"""How `apply` and `verify` divide their work: which part is done, and where.

Apart from the options of `apply`, so that `verify` declares no more than its own.
"""

from dataclasses import dataclass
from typing import Literal

from planbalance.options.declare import ADVANCED, option
from planbalance.shards import Shard


@dataclass(frozen=True, kw_only=True)
class ShardChoices:
    """Which part of the work is done here."""

    shard: Shard | str | None = option(
        None,
        "Do part I of N only (auto: by the Slurm array); parts run anywhere, at any time.",
        heading=ADVANCED,
        metavar="I/N|auto",
    )
    finish: bool = option(False, "When all parts are done: put them together.", heading=ADVANCED)


@dataclass(frozen=True, kw_only=True)
class ClusterChoices(ShardChoices):
    """Where the work is done."""

    executor: Literal["local", "dask"] = option(
        "local", "Where the work is done: here, or by parts on a Dask cluster (extra [dask]).", heading=ADVANCED
    )
    scheduler: str | None = option(
        None, "The running Dask scheduler.  [default: a cluster on this machine]", heading=ADVANCED, metavar="ADDRESS"
    )
