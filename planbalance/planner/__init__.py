"""Make a plan from a snapshot and options: which slices count, how they are grouped, split and sampled.

`make_plan`, `make_folds` and `make_left_out` do all of it. Two of their steps are public because other packages
need them: `select_slices` chooses slices and refuses inputs, `group_into_volumes` only reads names.
"""

from planbalance.planner.build import make_plan
from planbalance.planner.folds import make_folds, make_left_out
from planbalance.planner.options import (
    DEFAULT_RATIOS,
    PlanOptions,
    check_output,
    check_ratios,
    options_from_plan,
    parse_classes,
    parse_decimal,
    parse_negatives,
    parse_ratios,
    plain,
)
from planbalance.planner.select import Selection, select_slices
from planbalance.planner.volumes import (
    below_folders,
    class_names,
    group_into_volumes,
    into_volumes,
    is_positive,
    paths_below,
    places_of,
    read_slices,
    with_groups,
)

__all__ = (
    "DEFAULT_RATIOS",
    "PlanOptions",
    "Selection",
    "below_folders",
    "check_output",
    "check_ratios",
    "class_names",
    "group_into_volumes",
    "into_volumes",
    "is_positive",
    "make_folds",
    "make_left_out",
    "make_plan",
    "options_from_plan",
    "parse_classes",
    "parse_decimal",
    "parse_negatives",
    "parse_ratios",
    "paths_below",
    "places_of",
    "plain",
    "read_slices",
    "select_slices",
    "with_groups",
)
