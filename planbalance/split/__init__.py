"""Units -> train, val and test: quotas exact, positive and negative slices at their integer targets where attainable.

The objective is DOMAIN's: quotas of units per stratum by largest remainder, then the least sum over the splits of
|positives - target| + |negatives - target|, then class shares, then traits. The same units and seed give the same
split, whatever their order, on every machine and Python: the search counts steps, not seconds.
"""

from planbalance.apportion import largest_remainder
from planbalance.split.story import split_folds, split_units
from planbalance.split.values import STRATA, Share, SplitRequest, SplitResult, Stratum, Target, Unit

__all__ = [
    "STRATA",
    "Share",
    "SplitRequest",
    "SplitResult",
    "Stratum",
    "Target",
    "Unit",
    "largest_remainder",
    "split_folds",
    "split_units",
]
