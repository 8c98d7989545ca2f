"""Snapshot + options -> plan: which slices count, which volumes belong together, what goes where, what stays.

`make_plan` and `make_folds` are the whole story; its steps are public where others need them: `usable` chooses and
refuses, `group_into_volumes` only reads.
"""

from planbalance.planner.options import (
    DEFAULT_RATIOS,
    PlanOptions,
    ReadablePlan,
    check_output,
    check_ratios,
    options_from_plan,
    parse_classes,
    parse_decimal,
    parse_negatives,
    parse_ratios,
    plain,
)
from planbalance.planner.slices import Selection, usable
from planbalance.planner.story import make_folds, make_plan
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
    "ReadablePlan",
    "Selection",
    "below_folders",
    "check_output",
    "check_ratios",
    "class_names",
    "group_into_volumes",
    "into_volumes",
    "is_positive",
    "make_folds",
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
    "usable",
    "with_groups",
)
