"""Several plans of one input: the folds of a cross-validation, and one plan for each value that is left out."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final, NamedTuple
from unicodedata import normalize

from planbalance.destination import fold
from planbalance.errors import InputError, UsageError
from planbalance.model import Snapshot
from planbalance.planfile import SealedPlan
from planbalance.planner.build import check_request, sealed_plan
from planbalance.planner.groups import units_of, values_of_groups
from planbalance.planner.options import PlanOptions
from planbalance.planner.plan_header import Decisions
from planbalance.planner.select import Selection, select_slices
from planbalance.planner.undersample import undersample
from planbalance.split import SplitResult, split_folds, split_left_out
from planbalance.text import text_fault

# A value as the name of a folder: what a shell or another system may not take becomes `_`.
_UNSAFE: Final = re.compile(r"^[-.]|[^\w.+-]")
_LONGEST: Final = 100  # bytes: with what apply and the plan file add, a name stays below the 255 bytes of file systems


def make_folds(snapshot: Snapshot, options: PlanOptions, folds: int, repeats: int = 1) -> Iterator[SealedPlan]:
    """Yield one plan for each fold: in each repetition, every group is in test exactly once.

    Repetition r has the split seed of the options + r - 1; the first one has the same folds as without repetitions. The
    output is `<output>/fold<k>`, or `<output>/repeat<r>/fold<k>` where there are several repetitions. Val gets
    val/(train+val) of the groups that are not in test; the test ratio is not used. Everything is checked and split
    before the first plan is yielded.

    Raises:
        UsageError: fewer than 2 folds or than 1 repetition, or an option that fixes volumes (`keep_split`, `split_map`,
            `extend`).
        InputError: as `make_plan`; fewer groups than folds.
    """
    if folds < 2:
        raise UsageError(f"--folds is {folds}: there must be at least 2.", kind="bad-folds")
    if repeats < 1:
        raise UsageError(f"--repeats is {repeats}: there must be at least 1.", kind="bad-folds")
    _refuse_fixed(options, "--folds")
    check_request(snapshot, replace(options, split_seed=options.split_seed + repeats - 1))
    selection = select_slices(snapshot, options)
    units = units_of(selection.volumes, options)
    several = []
    for repeat in range(1, repeats + 1):
        seed = options.split_seed + repeat - 1
        results = split_folds(units, folds, options.ratios, seed, options.split_method, options.balance)
        for number, result in enumerate(results, start=1):
            facts, folder = {"fold": number, "of": folds}, f"fold{number}"
            if repeats > 1:
                facts, folder = facts | {"repeat": repeat, "repeats": repeats}, f"repeat{repeat}/{folder}"
            several.append(_Fold(_below(replace(options, split_seed=seed), folder), facts, result))
    return (_sealed_fold(snapshot, selection, part) for part in several)


def make_left_out(snapshot: Snapshot, options: PlanOptions, column: str) -> Iterator[SealedPlan]:
    """Yield one plan for each value of a column of the group map, sorted: the groups with the value are test.

    The others are split into train and val, val getting val/(train+val) of them. The output is `<output>/<value>`, with
    `_` for each character that is not for the name of a folder. Everything is checked and split before the first plan
    is yielded.

    Raises:
        UsageError: an option that fixes volumes; the column is not in the group map.
        InputError: as `make_plan`; the column has one value only (kind `one-value`) or two that would have the same
            folder (kind `same-folder`); and as `values_of_groups`.
    """
    _refuse_fixed(options, "--leave-out")
    check_request(snapshot, options, column)
    selection = select_slices(snapshot, options)
    value_of = values_of_groups(selection.volumes, options, column)
    folders = _folders_of(set(value_of.values()), column)
    units = units_of(selection.volumes, options)
    results = split_left_out(units, value_of, options.ratios, options.split_seed, options.split_method, options.balance)
    several = [
        _Fold(
            _below(options, folders[value]),
            {"fold": number, "of": len(results), "leave_out": column, "value": value},
            result,
        )
        for number, (value, result) in enumerate(results.items(), start=1)
    ]
    return (_sealed_fold(snapshot, selection, part) for part in several)


class _Fold(NamedTuple):
    """One of several plans: its options, `parameters.fold` and its split."""

    options: PlanOptions
    facts: Mapping[str, int | str]
    result: SplitResult


def _refuse_fixed(options: PlanOptions, flag: str) -> None:
    fixing = {"--keep-split": options.keep_split, "--split-map": options.split_map, "--extend": options.extend}
    for name, value in fixing.items():
        if value:
            raise UsageError(
                f"{name} does not go with {flag}: every group is in test exactly once, so none can be fixed.",
                kind="folds-fix-nothing",
            )
    if options.prove is not None:
        raise UsageError(
            f"--prove does not go with {flag}: a proof is about one split.",
            kind="folds-exclude",
            hint="Leave --prove out.",
        )


def _below(options: PlanOptions, folder: str) -> PlanOptions:
    return replace(options, output=f"{options.output.rstrip('/')}/{folder}")


def _folders_of(values: Iterable[str], column: str) -> dict[str, str]:
    """Return value -> the name of its folder."""
    folders = {value: _folder_of(value, column) for value in sorted(values)}
    if len(folders) < 2:
        raise InputError(
            f"--leave-out {column}: all volumes have the value {', '.join(folders)}; there must be two values.",
            kind="one-value",
            hint="Name a column with several values, or use --folds.",
        )
    value_of: dict[str, str] = {}
    for value, folder in folders.items():
        other = value_of.setdefault(fold(folder), value)
        if other != value:
            raise InputError(
                f"--leave-out {column}: {other} and {value} would both have the folder {folder}.",
                kind="same-folder",
                hint="Write one of the two otherwise in the group map.",
            )
    return folders


def _folder_of(value: str, column: str) -> str:
    fault = text_fault(value)
    if fault is not None:
        raise InputError(
            f"--leave-out {column}: the value {value!r} {fault}.",
            kind="bad-map",
            hint="Write it otherwise in the group map.",
        )
    name = _UNSAFE.sub("_", normalize("NFC", value))
    return name.encode()[:_LONGEST].decode(errors="ignore")


def _sealed_fold(snapshot: Snapshot, selection: Selection, part: _Fold) -> SealedPlan:
    sampled = undersample(snapshot.inputs, selection.volumes, part.result.split_of, part.options)
    return sealed_plan(snapshot, Decisions(part.options, selection, part.result, sampled, part.facts, (), None))
