"""Split units (volumes, or patients) into train, val and test.

Each split gets its quota of positive and of negative units, by largest remainder. Among the splits that keep the
quotas, the search looks for the least sum of |positives - target| + |negatives - target|, then for class shares close
to the ratios, then for shares of the `--stratify` values (docs/explanation/targets.md).

The same units and seed give the same split on every machine and Python, in whatever order the units come: the search
is limited by a number of steps, not by time.
"""

from planbalance.apportion import largest_remainder
from planbalance.split.left_out import split_left_out
from planbalance.split.solver import describe_split, split_folds, split_units
from planbalance.split.units import STRATA, ClassShare, Share, SplitRequest, SplitResult, Stratum, Target, Unit

__all__ = [
    "STRATA",
    "ClassShare",
    "Share",
    "SplitRequest",
    "SplitResult",
    "Stratum",
    "Target",
    "Unit",
    "describe_split",
    "largest_remainder",
    "split_folds",
    "split_left_out",
    "split_units",
]
