"""Make a plan from a snapshot and options: which slices count, how they are grouped, split and sampled.

`make_plan`, `make_repair`, `make_folds` and `make_left_out` do all of it. Two of their steps are public because other
packages need them: `select_slices` chooses slices and refuses inputs, `group_into_volumes` only reads names.
"""

from planbalance.planner.build import make_plan, make_repair
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
from planbalance.planner.patients import Grouped, group_volumes, no_patients_in_names
from planbalance.planner.repair import Repair
from planbalance.planner.select import Selection, select_slices
from planbalance.planner.split_dataset import read_split_dataset
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
    "Grouped",
    "PlanOptions",
    "Repair",
    "Selection",
    "below_folders",
    "check_output",
    "check_ratios",
    "class_names",
    "group_into_volumes",
    "group_volumes",
    "into_volumes",
    "is_positive",
    "make_folds",
    "make_left_out",
    "make_plan",
    "make_repair",
    "no_patients_in_names",
    "options_from_plan",
    "parse_classes",
    "parse_decimal",
    "parse_negatives",
    "parse_ratios",
    "paths_below",
    "places_of",
    "plain",
    "read_slices",
    "read_split_dataset",
    "select_slices",
    "with_groups",
)
