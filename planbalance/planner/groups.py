"""Group volumes into the units that are split; fix groups by official splits, split maps and older plans.

Also read, for `--leave-out`, the one value that each group has in a column of the group map.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final

from planbalance import planfile
from planbalance.errors import InputError, UsageError
from planbalance.group_sources import joins_of_plan
from planbalance.grouping import spelled_otherwise, spelling_note
from planbalance.model import SPLITS, Input, PlanHeader, Split, Volume
from planbalance.planner.options import PlanOptions, plain
from planbalance.split import Unit
from planbalance.text import counted, some

_FINEST: Final = Decimal("0.0001")  # of the ratios that a warning proposes
_Claims = defaultdict[str, dict[Split, str]]  # group -> split -> what fixes it there


def units_of(volumes: Iterable[Volume], options: PlanOptions) -> list[Unit]:
    """Return the groups as units of the split, sorted by id.

    Where the volumes of a group have different values in a `--stratify` column, the group has the joined value, such as
    `north + south`.

    Raises:
        UsageError: a `--stratify` column is not in the group map (kind `bad-stratify`).
    """
    columns = [_column(options, name, "--stratify") for name in options.stratify]
    members: defaultdict[str, list[Volume]] = defaultdict(list)
    for volume in volumes:
        members[volume.group].append(volume)
    only_positive = options.positive_classes is None  # then no other slice has a box
    return [_unit(group, members[group], columns, only_positive=only_positive) for group in sorted(members)]


def fixed_groups(
    inputs: Sequence[Input], volumes: Sequence[Volume], grouped_by: str, options: PlanOptions
) -> tuple[dict[str, Split], list[str]]:
    """Return group -> split for every group that `--keep-split`, `--split-map` or `--extend` fixes, and warnings.

    Raises:
        InputError: a kept split shares a group with other slices (kind `kept-split-leaks`) or no input has it (kind
            `kept-split-absent`); a group would be in two splits (kind `group-in-two-splits`).
    """
    claims: _Claims = defaultdict(dict)
    warnings: list[str] = []
    if options.keep_split:
        _claim_kept(claims, inputs, volumes, options.keep_split)
    if options.split_map is not None:
        _claim_mapped(claims, volumes, options.split_map, warnings)
    if options.extend is not None:
        _claim_known(claims, volumes, grouped_by, options, warnings)
    contradicting = [
        f"{group}: {' and '.join(f'{split} ({claims[group][split]})' for split in SPLITS if split in claims[group])}"
        for group in sorted(claims)
        if len(claims[group]) > 1
    ]
    if contradicting:
        raise InputError(
            f"{counted(len(contradicting), 'group')} would be in two splits: {some(contradicting, 3)}.",
            kind="group-in-two-splits",
            hint="A group must never be split: correct the maps, or leave volumes out with --exclude.",
            paths=contradicting,
        )
    return {group: next(iter(splits)) for group, splits in claims.items()}, warnings


def topped_up(
    split_of: Mapping[str, Split], fixed: Mapping[str, Split], unit: str, options: PlanOptions
) -> tuple[str, ...]:
    """Return a warning for val and for test, where the ratios add groups to those that are fixed there.

    A fixed test set is often one that was published or labelled twice: results on a larger one cannot be compared.

    Args:
        split_of: group -> split, of all groups.
        fixed: group -> split, of the fixed ones.
        unit: what a group is called, such as `volume`.
        options: those that fix groups, and the ratios.
    """
    by_hand = {*options.keep_split, *(options.split_map or {}).values()}
    fixing = {"--keep-split": options.keep_split, "--split-map": options.split_map, "--extend": options.extend}
    names = " and ".join(name for name, value in fixing.items() if value)
    held = Counter(fixed.values())
    added = Counter(split for group, split in split_of.items() if group not in fixed)
    topped = [split for split in SPLITS[1:] if split in by_hand and held[split] and added[split]]
    if options.extend is None:
        ratios = _ratios_without(topped, options)
        how = "To add none: " + " ".join(f"--{split}-ratio {plain(ratio)}" for split, ratio in ratios.items())
    else:
        how = "The ratios are those of the older plan"
    return tuple(
        f"{split} has {counted(held[split], unit)} fixed by {names}, and the ratios add "
        f"{counted(added[split], unit)} to it. {how}."
        for split in topped
    )


def _ratios_without(splits: Sequence[Split], options: PlanOptions) -> dict[Split, Decimal]:
    """Return ratios that give nothing to these splits of val and test; the others keep their proportion."""
    left = {split: ratio for split, ratio in zip(SPLITS, options.ratios, strict=True) if split not in splits}
    whole = sum(left.values())
    shares = {
        split: max(_FINEST, (ratio / whole).quantize(_FINEST)) if ratio and split != "train" else Decimal(0)
        for split, ratio in left.items()
    }
    return {
        split: 1 - sum(shares.values(), Decimal(0)) if split == "train" else shares.get(split, Decimal(0))
        for split in SPLITS
    }


def values_of_groups(volumes: Iterable[Volume], options: PlanOptions, column: str) -> dict[str, str]:
    """Return group -> its value in a column of the group map, for `--leave-out`.

    Raises:
        UsageError: the column is not in the group map (kind `no-such-column`).
        InputError: a volume has no value (kind `volume-without-value`); a group has several values, so that none of
            them can be left out without a part of the group in train (kind `group-has-two-values`).
    """
    value_of = _column(options, column, "--leave-out")
    values: defaultdict[str, dict[str, str]] = defaultdict(dict)  # group -> value -> a volume that has it
    without = []
    for volume in volumes:
        value = value_of.get(volume.id)
        if value:
            values[volume.group].setdefault(value, volume.id)
        else:
            without.append(volume.id)
    if without:
        raise InputError(
            f"--leave-out {column}: {counted(len(without), 'volume has', 'volumes have')} no value: {some(without)}.",
            kind="volume-without-value",
            hint="Write their values into the group map, or leave these volumes out with --exclude.",
            paths=without,
        )
    divided = [
        f"{group}: {' and '.join(f'{value} ({found[value]})' for value in sorted(found))}"
        for group, found in sorted(values.items())
        if len(found) > 1
    ]
    if divided:
        raise InputError(
            f"--leave-out {column}: {counted(len(divided), 'group has', 'groups have')} volumes with different values, "
            f"and a group is never divided: {some(divided, 3)}.",
            kind="group-has-two-values",
            hint="Correct the group map, or leave the volumes with one of the values out with --exclude.",
            paths=divided,
        )
    return {group: next(iter(found)) for group, found in values.items()}


def _column(options: PlanOptions, name: str, flag: str) -> Mapping[str, str]:
    if options.group_map is None or name not in options.group_map.traits:
        raise UsageError(
            f"{flag} {name}: there is no such column in a group map.",
            kind="bad-stratify" if flag == "--stratify" else "no-such-column",
            hint="Give --group-map a CSV file that has this column.",
        )
    return options.group_map.traits[name]


def _unit(group: str, volumes: Sequence[Volume], columns: Sequence[Mapping[str, str]], *, only_positive: bool) -> Unit:
    boxes = Counter(
        one_class
        for volume in volumes
        if volume.positives or not only_positive
        for one in volume.slices
        if one.positive or not only_positive
        for one_class in one.file.classes
    )
    return Unit(
        id=group,
        slices=sum(len(volume.slices) for volume in volumes),
        positives=sum(volume.positives for volume in volumes),
        classes=tuple(sorted(boxes.items())),
        traits=tuple(" + ".join(sorted({column.get(v.id, "") for v in volumes})) for column in columns),
        volumes=len(volumes),
    )


def _claim_kept(claims: _Claims, inputs: Sequence[Input], volumes: Sequence[Volume], kept: Sequence[Split]) -> None:
    """Fix the groups of kept slices; a group that also has slices outside the kept split would leak."""
    held: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for volume in volumes:
        held[volume.group].update(
            inputs[one.file.input].folders[one.file.folder].split or "no split" for one in volume.slices
        )
    leaks = []
    for group in sorted(held):
        for split in kept:
            if held[group][split]:
                claims[group][split] = f"--keep-split {split}"
        if group in claims and len(held[group]) > 1:
            leaks.append(
                f"{group}: {', '.join(f'{count:,} in {split}' for split, count in sorted(held[group].items()))}"
            )
    if leaks:
        raise InputError(
            f"{counted(len(leaks), 'group has', 'groups have')} slices both in a kept split and outside it: "
            f"{some(leaks, 3)}.",
            kind="kept-split-leaks",
            hint="A split that shares volumes or patients with the rest leaks: "
            + (f"mend it with `planbalance repair INPUT --keep {','.join(kept)}`, " if len(inputs) == 1 else "")
            + "drop --keep-split, or --exclude them.",
            paths=leaks,
        )
    absent = [split for split in kept if not any(counts[split] for counts in held.values())]
    if absent:
        raise InputError(
            f"--keep-split {absent[0]}: no input holds slices in a {absent[0]} folder.",
            kind="kept-split-absent",
            hint="Leave the option out, or give an input that is split already.",
        )


def _claim_mapped(
    claims: _Claims, volumes: Sequence[Volume], split_map: Mapping[str, Split], warnings: list[str]
) -> None:
    for volume in volumes:
        if volume.id in split_map:
            claims[volume.group].setdefault(split_map[volume.id], f"--split-map, {volume.id}")
    unknown = sorted(set(split_map).difference(volume.id for volume in volumes))
    if unknown:
        alike = spelled_otherwise(unknown, [volume.id for volume in volumes if volume.id not in split_map])
        warnings.append(
            f"--split-map names {counted(len(unknown), 'volume')} that no input holds: {some(unknown)}."
            + spelling_note(alike, "the map")
        )


def _sources_left_out(older: PlanHeader, options: PlanOptions) -> Iterator[str]:
    """Yield a warning where the older plan joined sources of groups that are not asked for again."""
    named = [row.name for row in joins_of_plan(older.parameters)]
    lacking = [name for name in named if name not in options.group_from]
    if lacking:
        yield (
            f"The older plan has groups from {', '.join(lacking)} too. Its volumes stay where they are, but new "
            f"volumes were not looked at: give --group-from {','.join(named)} again."
        )


def _claim_known(
    claims: _Claims, volumes: Sequence[Volume], grouped_by: str, options: PlanOptions, warnings: list[str]
) -> None:
    """Fix the volumes of the older plan in their splits, and new volumes of a known group in the group's split."""
    assert options.extend is not None
    older = options.extend.header
    known = {volume.id: volume for volume in older.volumes}
    same_groups = planfile.grouped_by(older) == grouped_by  # else one id may be a volume here and a patient there
    for planned in older.volumes if same_groups else ():
        claims[planned.group].setdefault(planned.split, f"the older plan, {planned.id}")
    warnings += _sources_left_out(older, options)
    present = set()
    for volume in volumes:
        if volume.id in known:
            present.add(volume.id)
            claims[volume.group].setdefault(known[volume.id].split, f"the older plan, {volume.id}")
    gone = sorted(set(known) - present)
    if gone and not present and older.naming.get("rule") == "dicom":
        raise UsageError(
            "The inputs hold no volume of the older plan: its ids are hashes of series, made with another key.",
            kind="other-key",
            hint="Give the key that made the older plan: --group-key FILE.",
        )
    if gone:
        warnings.append(f"{counted(len(gone), 'volume')} of the older plan no longer there: {some(gone, 10)}.")
    current = {volume.group for volume in volumes}
    for group in [group for group in claims if group not in current]:
        del claims[group]
