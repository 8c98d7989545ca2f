"""What only all folds together show: each is there once, of the same data and options, and tests its part. Pure.

The same holds for datasets of which each leaves one value out. What lies in a dataset is compared with its plan by its
own audit, so here the plans are compared; of a dataset without a plan, what it holds.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from planbalance.audit.check_builder import CheckBuilder, not_checked
from planbalance.model import Check, PlanHeader, Split
from planbalance.text import counted, some

_MOST: Final = 100_000  # folds; a plan that says more is not believed
_SHOWN: Final = 60  # characters of the value of an option
_NO_FOLD: Final = "no plan in these datasets says that it is a fold; --against shows what one shares with another"
FOLD_FOLDER: Final = re.compile("fold[0-9]+", re.ASCII)  # how planbalance calls the folder of a fold
PRESENT: Final = "folds-present"
SAME_OPTIONS: Final = "folds-same-options"
SAME_VOLUMES: Final = "folds-same-volumes"
TEST_ONCE: Final = "folds-test-once"
ONE_TEST: Final = "variants-one-test"
ONE_VAL: Final = "variants-one-val"
_TITLES: Final = {
    PRESENT: "folds that are there",
    SAME_OPTIONS: "options of the folds",
    SAME_VOLUMES: "volumes of the folds",
    TEST_ONCE: "test of the folds",
    ONE_TEST: "test of the variants",
    ONE_VAL: "val of the variants",
}


class FoldFacts(NamedTuple):
    """Which of several plans one is: what its `parameters.fold` says."""

    number: int
    of: int
    repeat: int = 1
    repeats: int = 1
    column: str | None = None  # of --leave-out
    value: str | None = None

    @property
    def name(self) -> str:
        """What people call it: `fold 2`, `repeat 1 fold 2`, or the value that is left out."""
        if self.value is not None:
            return self.value
        return f"repeat {self.repeat} fold {self.number}" if self.repeats > 1 else f"fold {self.number}"

    @property
    def several(self) -> str:
        """What it is one of: equal for all plans of one command."""
        if self.column is not None:
            return f"one of {self.of} values of {self.column}"
        return f"one of {self.of} folds" + (f" in {self.repeats} repetitions" if self.repeats > 1 else "")


class FoldContent(NamedTuple):
    """One of several datasets.

    Attributes:
        dataset: its path.
        name: what people call it: as its plan says, else the name of its folder.
        repeat: which repetition of the folds it belongs to.
        facts: which of several its plan says that it is; None where it says nothing, and without a plan.
        options: of its plan (`options_of`); None without a plan.
        volumes: id -> (group, slices, positive slices), as planned; None without a plan.
        splits_of: group -> the splits that it is in.
    """

    dataset: str
    name: str
    repeat: int
    facts: FoldFacts | None
    options: Mapping[str, str] | None
    volumes: Mapping[str, tuple[str, int, int]] | None
    splits_of: Mapping[str, frozenset[Split]]


def facts_of(header: PlanHeader) -> FoldFacts | None:
    """Return which of several plans a plan is; None where it is none of several, or does not say it as plans do."""
    fold = header.parameters.get("fold")
    if not isinstance(fold, Mapping):
        return None
    facts = FoldFacts(
        fold.get("fold", 0),
        fold.get("of", 0),
        fold.get("repeat", 1),
        fold.get("repeats", 1),
        fold.get("leave_out"),
        fold.get("value"),
    )
    whole = all(type(number) is int and 1 <= number <= _MOST for number in facts[:4])
    texts = all(text is None or isinstance(text, str) for text in facts[4:])
    return facts if whole and texts and facts.number <= facts.of and facts.repeat <= facts.repeats else None


def are_folds_of_one_command(one: PlanHeader | None, other: PlanHeader | None) -> bool:
    """Return whether two plans are different folds that one command made, of the same data and options."""
    if one is None or other is None:
        return False
    facts, others = facts_of(one), facts_of(other)
    if facts is None or others is None or facts.several != others.several:
        return False
    different = (facts.repeat, facts.number) != (others.repeat, others.number)
    return different and options_of(one) == options_of(other)


def checks_across(folds: Sequence[FoldContent], unit: str) -> list[Check]:
    """Return the checks of all datasets together; `unit` is what is never divided: `volume` or `patient`.

    Datasets of which none is a fold are variants of one dataset where all were planned from the same inputs: the
    members of an ensemble, which need one test. Others need not have anything in common, so nothing is checked of them
    together.
    """
    if not any(fold.facts for fold in folds) and not all(FOLD_FOLDER.fullmatch(fold.name) for fold in folds):
        if are_variants(folds):
            return [_one_split(ONE_TEST, "test", folds, unit), _one_split(ONE_VAL, "val", folds, unit)]
        return [_not_checked(name, _NO_FOLD) for name in (PRESENT, SAME_OPTIONS, SAME_VOLUMES, TEST_ONCE)]
    return [_present(folds), _same_options(folds), _same_volumes(folds), _test_once(folds, unit)]


def are_variants(folds: Sequence[FoldContent]) -> bool:
    """Return whether several datasets, none of them a fold, were all planned from the same inputs."""
    inputs = {None if fold.options is None else fold.options.get("inputs") for fold in folds}
    return len(folds) > 1 and not any(fold.facts for fold in folds) and len(inputs) == 1 and None not in inputs


def _not_checked(name: str, reason: str) -> Check:
    return not_checked(name, reason, title=_TITLES[name])


def _one_split(name: str, split: Split, folds: Sequence[FoldContent], unit: str) -> Check:
    """Check that all variants have the same groups, with the same slices, in a split."""
    found = CheckBuilder(name, title=_TITLES[name])
    held = [_groups_in(split, fold) for fold in folds]
    common = _most_common(frozenset(one.items()) for one in held)
    usual = dict(common)
    found.count = len(usual)
    for fold, groups in zip(folds, held, strict=True):
        more, lacking = sorted(set(groups) - set(usual)), sorted(set(usual) - set(groups))
        changed = sorted(group for group in set(groups) & set(usual) if groups[group] != usual[group])
        told = [
            f"{what} {counted(len(ids), unit)}: {some(ids)}"
            for what, ids in (
                (f"its {split} has also", more),
                (f"its {split} lacks", lacking),
                ("other slices of", changed),
            )
            if ids
        ]
        if told:
            found.error(f"variant-{split}", fold.dataset, "; ".join(told))
    if not usual and not any(held):
        return _not_checked(name, f"no dataset has a {split}")
    return found.check()


def _groups_in(split: Split, fold: FoldContent) -> dict[str, tuple[int, int]]:
    """Return slices and positive slices of each group in a split; a group lies in one split of a plan."""
    counts: defaultdict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for group, slices, positives in (fold.volumes or {}).values():
        if split in fold.splits_of.get(group, ()):
            counts[group] = (counts[group][0] + slices, counts[group][1] + positives)
    return dict(counts)


def _present(folds: Sequence[FoldContent]) -> Check:
    """Check that each fold is there, and only once."""
    found = CheckBuilder(PRESENT, title=_TITLES[PRESENT])
    known = [(fold, fold.facts) for fold in folds if fold.facts is not None]
    if not known:
        return _not_checked(found.name, _NO_FOLD)
    found.count = len(folds)
    several = _most_common(facts.several for _, facts in known)
    there: defaultdict[tuple[int, int], list[str]] = defaultdict(list)
    for fold, facts in known:
        if facts.several == several:
            there[facts.repeat, facts.number].append(fold.dataset)
        else:
            found.error("fold-other", fold.dataset, f"it is {facts.several}, and the others are {several}")
    for fold in folds:
        if fold.options is not None and fold.facts is None:
            found.error("fold-other", fold.dataset, "its plan is of no fold")
    of = next(facts for _, facts in known if facts.several == several)
    for (repeat, number), datasets in sorted(there.items()):
        if len(datasets) > 1:
            found.error("fold-twice", datasets[1], f"it is {_called(of, repeat, number)}, and so is {datasets[0]}")
    return _without_missing(found, folds, of, set(there))


def _without_missing(
    found: CheckBuilder, folds: Sequence[FoldContent], of: FoldFacts, there: set[tuple[int, int]]
) -> Check:
    """Return the check with the folds that are not there; one that a dataset without a plan may be is no error."""
    repeats = {repeat for repeat, _ in there}
    wanted = [(repeat, number) for repeat in sorted(repeats) for number in range(1, of.of + 1)]
    missing = [_called(of, repeat, number) for repeat, number in wanted if (repeat, number) not in there]
    without_plan = [fold.dataset for fold in folds if fold.options is None]
    if missing and len(missing) <= len(without_plan):
        found.notes.append(f"{some(without_plan)} without a plan may be {some(missing)}")
        check = found.check()
        return check if check.ok is False else check._replace(ok=None)
    for name in missing:
        found.error("fold-missing", "", f"{name} is not there")
    if len(repeats) < of.repeats:
        listed = ", ".join(f"repeat {repeat}" for repeat in sorted(repeats))
        found.warning("fold-missing", "", f"of {of.repeats} repetitions only {listed} was looked at")
    return found.check()


def _called(of: FoldFacts, repeat: int, number: int) -> str:
    """Return the name of a fold that need not be there; of a value that is left out, its number is all that is known.

    `of` is any fold of the same command.
    """
    if of.column is not None:
        return f"value {number} of {of.of} of {of.column}"
    return f"{of._replace(repeat=repeat, number=number).name} of {of.of}"


def _same_options(folds: Sequence[FoldContent]) -> Check:
    """Check that all plans were made with the same options: a fold of another seed may test what others tested."""
    found = CheckBuilder(SAME_OPTIONS, title=_TITLES[SAME_OPTIONS])
    known = [(fold, fold.options) for fold in folds if fold.options is not None]
    if not any(fold.facts for fold, _ in known):
        return _not_checked(found.name, _NO_FOLD)
    found.count = len(known)
    for name in sorted({name for _, options in known for name in options}):
        values = [options.get(name, "not given") for _, options in known]
        common = _most_common(values)
        for (fold, _), value in zip(known, values, strict=True):
            if value != common:
                told = f"{name} is {_short(value)}, and of the others {_short(common)}"
                note = found.warning if name == "inputs" else found.error
                note("fold-options", fold.dataset, told)
    return found.check()


def options_of(header: PlanHeader) -> dict[str, str]:
    """Return the options of a plan as JSON texts, without what differs between the folds of one command."""
    options: dict[str, Any] = {**header.parameters, "inputs": list(header.inputs)}
    facts, seed, keep = facts_of(header), options.get("split_seed"), options.get("always_keep")
    if facts is not None and type(seed) is int:
        options["split_seed"] = seed - facts.repeat + 1
    if isinstance(keep, Mapping):
        options["always_keep"] = keep.get("entries")
    return {name: json.dumps(value, sort_keys=True) for name, value in options.items() if name != "fold"}


def _same_volumes(folds: Sequence[FoldContent]) -> Check:
    """Check that all folds divide the same volumes, in the same groups."""
    found = CheckBuilder(SAME_VOLUMES, title=_TITLES[SAME_VOLUMES])
    planned = [(fold, fold.volumes) for fold in folds if fold.volumes is not None]
    if len(planned) < 2:
        return _not_checked(found.name, "fewer than two of these datasets have a plan")
    times = Counter(volume for _, volumes in planned for volume in volumes)
    found.count = len(times)
    common = {volume for volume, number in times.items() if 2 * number > len(planned)}
    usual = {volume: _most_common(volumes[volume] for _, volumes in planned if volume in volumes) for volume in common}
    for fold, volumes in planned:
        lacking, others = sorted(common.difference(volumes)), sorted(set(volumes) - common)
        if lacking:
            told = f"it lacks {counted(len(lacking), 'volume')} of the others: {some(lacking)}"
            found.error("fold-volumes", fold.dataset, told)
        if others:
            told = f"it has {counted(len(others), 'volume')} that the others lack: {some(others)}"
            found.error("fold-volumes", fold.dataset, told)
        changed = sorted(volume for volume in common.intersection(volumes) if volumes[volume] != usual[volume])
        if changed:
            them = f"{counted(len(changed), 'volume has', 'volumes have')}"
            told = f"{them} another patient or other slices than in the others: {some(changed)}"
            found.error("fold-volumes", fold.dataset, told)
    without = [fold.name for fold in folds if fold.volumes is None]
    if without:
        found.notes.append(f"{some(without)} without a plan not compared")
    return found.check()


def _test_once(folds: Sequence[FoldContent], unit: str) -> Check:
    """Check that every group is in test of exactly one fold of each repetition."""
    found = CheckBuilder(TEST_ONCE, title=_TITLES[TEST_ONCE])
    repeats = sorted({fold.repeat for fold in folds})
    for repeat in repeats:
        of_repeat = [fold for fold in folds if fold.repeat == repeat]
        where = f"in repeat {repeat}, " if len(repeats) > 1 else ""
        tested: defaultdict[str, list[str]] = defaultdict(list)
        for fold in of_repeat:
            for group, splits in fold.splits_of.items():
                if "test" in splits:
                    tested[group].append(fold.name)
        groups = {group for fold in of_repeat for group in fold.splits_of}
        found.count += len(groups)
        _count_tests(found, tested, groups, where, unit)
    return found.check()


def _count_tests(
    found: CheckBuilder, tested: Mapping[str, list[str]], groups: Iterable[str], where: str, unit: str
) -> None:
    """Note the groups that are in test of no fold, and those in test of several, together for the same folds."""
    never = sorted(set(groups).difference(tested))
    if never:
        told = f"{counted(len(never), f'{unit} is', f'{unit}s are')} in test of no fold: {some(never)}"
        found.error("fold-test", "", where + told)
    several: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for group in sorted(tested):
        if len(tested[group]) > 1:
            several[tuple(tested[group])].append(group)
    for names, ids in several.items():
        told = f"{counted(len(ids), f'{unit} is', f'{unit}s are')} in test of {' and of '.join(names)}: {some(ids)}"
        found.error("fold-test", "", where + told)


def _most_common(values: Iterable[Any]) -> Any:  # noqa: ANN401 - one of the values
    """Return the value that most have; of several, the one that comes first."""
    return Counter(values).most_common(1)[0][0]


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
