"""The options of a plan as checked values, and those that `--extend` takes from an older plan."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from planbalance.errors import PlanError, UsageError
from planbalance.grouping import GroupMap
from planbalance.look_alikes import LookAlikes
from planbalance.model import EXTERNAL_RULES, SPLITS, Input, PlanHeader, ReadablePlan, SharedIds, Split
from planbalance.options.plan import DEFAULT_SEED, PlanChoices
from planbalance.path_relation import all_guarded, overlap_refused, relation
from planbalance.planfile import id_prefixes
from planbalance.slicemap import VolumeSource
from planbalance.text import some

# The guide's command lines (Step 2): 70/15/15.
DEFAULT_RATIOS: Final = (Decimal("0.7"), Decimal("0.15"), Decimal("0.15"))
_DECIMAL: Final = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?", re.ASCII)
_DIGITS: Final = 12


@dataclass(frozen=True)
class PlanOptions(PlanChoices):
    """The options of `plan`, as values: what `options.plan` declares, with what was read from it.

    Attributes:
        output: absolute path of the dataset to make.
        train_ratio: share of train, exact; the three sum to 1 (`parse_ratios`).
        val_ratio: share of val.
        test_ratio: share of test.
        split_seed: decides which volume goes where.
        sample_seed: decides which train negatives stay.
        negatives_per_positive: wanted in train; None keeps all.
        positive_classes: class ids that make a slice positive; None: any annotation.
        volume_pattern: `auto`, a rule's name, or a regular expression.
        keep_split: splits of the input whose slices stay there.
        group_map: volume -> group, and the columns for `stratify`.
        split_map: volume -> split, fixed by hand.
        always_keep: negatives of train that are never dropped: paths or names.
        exclude: volumes or slices to leave out: ids, paths, names or globs.
        stratify: columns of the group map to keep in proportion.
        extend: an older plan whose volumes stay where they are.
        shared_ids: whether a volume id in several inputs is one volume; None: refused where an input has a prefix.
        group_from: the sources of groups that are joined, as `parse_sources` gives them; none where the groups are
            those of `group_map`, else those of the names.
        group_maps: what headers and files say, where they are among several sources.
        look_alikes: the pairs of volumes that look alike, where they are one of the sources.
        volume_source: the slice map or DICOM headers that give the volume of each image; None: names give it.
    """

    output: str
    train_ratio: Decimal = DEFAULT_RATIOS[0]
    val_ratio: Decimal = DEFAULT_RATIOS[1]
    test_ratio: Decimal = DEFAULT_RATIOS[2]
    split_seed: int = DEFAULT_SEED
    sample_seed: int = DEFAULT_SEED
    negatives_per_positive: Decimal | None = field(default=Decimal(1), kw_only=True)
    positive_classes: frozenset[int] | None = None
    volume_pattern: str = "auto"
    keep_split: tuple[Split, ...] = ()
    group_map: GroupMap | None = None
    split_map: Mapping[str, Split] | None = None
    always_keep: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    stratify: tuple[str, ...] = ()
    extend: ReadablePlan | None = None
    shared_ids: SharedIds | None = None
    volume_source: VolumeSource | None = None
    group_from: tuple[str, ...] = ()
    group_maps: tuple[GroupMap, ...] = ()
    look_alikes: LookAlikes | None = None

    @property
    def ratios(self) -> tuple[Decimal, Decimal, Decimal]:
        """Shares of train, val and test."""
        return self.train_ratio, self.val_ratio, self.test_ratio


def parse_ratios(train: str | None, val: str | None, test: str | None) -> tuple[Decimal, Decimal, Decimal]:
    """Return the three ratios from what was typed: exact decimals that sum to 1.

    With two given the third is inferred; with one given the others keep their defaults, and the sum must still be 1.

    Raises:
        UsageError: a ratio is no plain decimal number, is negative, has more than 12 digits, train is 0, or the sum is
            not 1 (kind `bad-ratios`).
    """
    given = [
        None if text is None else parse_decimal(text, f"--{split}-ratio")
        for split, text in (("train", train), ("val", val), ("test", test))
    ]
    if given.count(None) == 1:
        rest = 1 - sum((ratio for ratio in given if ratio is not None), Decimal(0))
        if rest < 0:
            raise _bad_ratios(f"The ratios given sum to {plain(1 - rest)}, more than 1", _example(given))
        given[given.index(None)] = rest
    ratios = [default if ratio is None else ratio for ratio, default in zip(given, DEFAULT_RATIOS, strict=True)]
    return check_ratios((ratios[0], ratios[1], ratios[2]))


def check_ratios(ratios: tuple[Decimal, Decimal, Decimal]) -> tuple[Decimal, Decimal, Decimal]:
    """Return the ratios (train, val, test) if a dataset can be split so.

    Raises:
        UsageError: one is negative or no number, train is 0, or the sum is not 1 (kind `bad-ratios`).
    """
    if not all(ratio.is_finite() and ratio >= 0 for ratio in ratios):
        raise _bad_ratios("A ratio is negative or not a number")
    if sum(ratios) != 1:
        parts = " + ".join(map(plain, ratios))
        raise _bad_ratios(
            f"The ratios of train, val and test sum to {plain(sum(ratios, Decimal(0)))} ({parts}), not 1",
            _example(ratios),
        )
    if ratios[0] == 0:
        raise _bad_ratios("--train-ratio is 0, and only val and test may be left out")
    return ratios


def parse_negatives(text: str) -> Decimal | None:
    """Return what `--negatives-per-positive` means: a positive number, or None for `all`.

    Raises:
        UsageError: it is neither (kind `bad-number`).
    """
    if text.strip().lower() == "all":
        return None
    number = parse_decimal(text, "--negatives-per-positive", "1.5, or all")
    if number == 0:
        raise UsageError(
            "--negatives-per-positive is 0, which leaves train without a negative slice.",
            kind="bad-number",
            hint="Give a number above 0, or `all`.",
        )
    return number


def parse_decimal(text: str, option: str, example: str = "0.15") -> Decimal:
    """Return an exact decimal that is not negative; `example` is one to show where it is refused.

    Raises:
        UsageError: it is no plain decimal number, or has more than 12 digits on one side of the point.
    """
    match = _DECIMAL.fullmatch(text.strip())
    whole, part = (match[2] or "", match[3] or "") if match else ("", "")
    if match is None or not whole + part:
        raise _bad_number(f"{option} is {text[:40]!r}, which is not a decimal number such as {example}.")
    if max(len(whole), len(part)) > _DIGITS:
        raise _bad_number(f"{option} has more than {_DIGITS} digits.")
    number = Decimal(f"{whole or 0}.{part or 0}")
    if match[1] == "-" and number:
        raise _bad_number(f"{option} is {text.strip()}, which is negative.")
    return number


_CLASS_ID: Final = re.compile("(?:id:)?([+-]?[0-9]{1,20})", re.ASCII)


def parse_classes(words: Iterable[int | str], names: Sequence[str] | None) -> tuple[int, ...]:
    """Return class ids of ids and names; a text of digits is the class of this name where there is one, else an id.

    `id:1` and `name:1` say which of the two is meant.

    Raises:
        UsageError: no class has this name, several have it, or it is the name of one class and the id of another
            (kind `unknown-class`).
    """
    return tuple(_class_of(word, names or ()) if isinstance(word, str) else word for word in words)


def _class_of(word: str, names: Sequence[str]) -> int:
    found = _CLASS_ID.fullmatch(word)
    class_id = None if found is None else int(found[1])
    named = [index for index, name in enumerate(names) if name == word]
    if not named and word.startswith("name:"):
        named = [index for index, name in enumerate(names) if name == word.removeprefix("name:")]
    if len(named) > 1:
        ids = " and ".join(map(str, named))
        raise _bad_class(f"--positive-class {word}: classes {ids} have this name.", "Give the ids.")
    if named and class_id is not None and class_id != named[0] and 0 <= class_id < len(names):
        both = f"class {named[0]} has this name, and the class of this id is called {names[class_id]}"
        raise _bad_class(f"--positive-class {word}: {both}.", f"Say which is meant: name:{word} or id:{word}.")
    if named:
        return named[0]
    if class_id is None:
        raise _unknown_class(word, names)
    return class_id


def _unknown_class(word: str, names: Sequence[str]) -> UsageError:
    if not names:
        return _bad_class(
            f"--positive-class {word}: the input does not name its classes.", "Give the class by its id, such as 0."
        )
    from difflib import get_close_matches  # noqa: PLC0415 - only where a run ends

    close = get_close_matches(word.lower(), [name.lower() for name in names], n=1)
    meant = [name for name in names if name.lower() in close][:1]
    listed = some((f"{index} {name}" for index, name in enumerate(names)), 20)
    return _bad_class(
        f"--positive-class {word}: no class has this name. The classes are {listed}.",
        f"Did you mean {meant[0]}?" if meant else "Give one of them, by name or id.",
    )


def _bad_class(message: str, hint: str) -> UsageError:
    return UsageError(message, kind="unknown-class", hint=hint)


def plain(number: Decimal) -> str:
    """Return a decimal in its one spelling: no exponent, no zeros at the end."""
    text = format(number, "f")
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def check_output(output: str, inputs: Iterable[Input]) -> None:
    """Check by names alone that the output is not, and does not hold or lie in, an input.

    Raises:
        UsageError: it does (kind `output-overlaps-input`).
    """
    inputs = tuple(inputs)
    for place in all_guarded((each.root for each in inputs), inputs):
        how = relation(output, place)
        if how is not None:
            raise overlap_refused(output, how, place)


def options_from_plan(header: PlanHeader) -> dict[str, Any]:
    """Return what `--extend` takes from the older plan, as arguments of `PlanOptions`.

    They are `volume_pattern` where names tell volumes, `positive_classes`, the three ratios, `split_seed`,
    `sample_seed`, and `shared_ids` where the older plan decides it.

    Raises:
        PlanError: the plan, which is as untrusted as any, does not hold them (kind `bad-plan`).
    """
    parameters, naming = header.parameters, header.naming
    if parameters.get("fold") is not None:
        raise PlanError(
            "The plan to extend is one of several folds, in which every group is in test once.",
            kind="bad-plan",
            hint="Plan the folds again, or extend a plan that is no fold.",
        )
    if parameters.get("repair") is not None:
        raise PlanError(
            "The plan to extend is the repair of a dataset, which has no ratios and no seed.",
            kind="bad-plan",
            hint="Build it, and plan the dataset that it makes with --keep-split or --split-map.",
        )
    try:
        ratios = check_ratios(_three([_decimal(parameters[f"{split}_ratio"]) for split in ("train", "val", "test")]))
        classes = parameters["positive_classes"]
        return {
            **_pattern(naming),
            "positive_classes": None if classes is None else frozenset(map(_whole, classes)),
            "train_ratio": ratios[0],
            "val_ratio": ratios[1],
            "test_ratio": ratios[2],
            "split_seed": _whole(parameters["split_seed"]),
            "sample_seed": _whole(parameters["sample_seed"]),
            **_shared_ids(header),
        }
    except (KeyError, TypeError, ValueError, UsageError):
        raise PlanError(
            "The plan to extend does not say how it was made (naming rule, positive classes, ratios or seeds).",
            kind="bad-plan",
            hint="Give --extend a plan that planbalance wrote.",
        ) from None


def _pattern(naming: Mapping[str, Any]) -> dict[str, str]:
    """Return the older plan's `volume_pattern`; nothing where a table or headers gave the volumes: names do not."""
    if naming["rule"] in EXTERNAL_RULES:
        return {}
    return {"volume_pattern": _text(naming["pattern"] if naming["rule"] == "regex" else naming["rule"])}


def _shared_ids(header: PlanHeader) -> dict[str, Any]:
    """Return `shared_ids` where another value would give volumes of the older plan other ids."""
    said = header.parameters.get("shared_ids")
    if any(id_prefixes(header)):
        return {"shared_ids": "different"}
    return {"shared_ids": "same"} if said == "same" else {}


def _three(values: list[Decimal]) -> tuple[Decimal, Decimal, Decimal]:
    return values[0], values[1], values[2]


def _decimal(value: object) -> Decimal:
    return parse_decimal(_text(value), "ratio")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(value)
    return value


def _bad_number(message: str) -> UsageError:
    return UsageError(message, kind="bad-number")


def _bad_ratios(fault: str, example: Sequence[Decimal] = DEFAULT_RATIOS) -> UsageError:
    """Return the refusal of ratios, with three that are right."""
    words = " ".join(f"--{split}-ratio {plain(ratio)}" for split, ratio in zip(SPLITS, example, strict=True))
    return UsageError(
        f"{fault}: {words}, for example.",
        kind="bad-ratios",
        hint="Give one, two or three ratios that sum to 1.",
    )


def _example(given: Sequence[Decimal | None]) -> Sequence[Decimal]:
    """Return ratios near those that were given: percents as shares; else train's, and the rest in equal parts."""
    known = [ratio for ratio in given if ratio is not None]
    if len(known) == len(given) and sum(known) == 100:
        return [ratio / 100 for ratio in known]
    if len(known) == len(given) - 1 and max(known) > 1 and sum(known) < 100:
        filled = [Decimal(100) - sum(known) if ratio is None else ratio for ratio in given]
        return [ratio / 100 for ratio in filled]
    train = given[0] / 100 if given[0] is not None and 1 < given[0] < 100 else given[0]
    if train is None or not 0 < train < 1:
        return DEFAULT_RATIOS
    return [train, (1 - train) / 2, (1 - train) / 2]
