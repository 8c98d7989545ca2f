"""Signs that the ids read from names are no volumes, by whichever rule they were read.

If names are read wrongly, one volume gets several ids, and its slices leak. These signs were measured on real naming
conventions: docs/explanation/names.md has the figures.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

from planbalance.naming.fields import (
    CLASS_WORDS,
    ENOUGH,
    FEW,
    LONGEST_NUMBER,
    MOST_CLASSES,
    PLACE_WORDS,
    SINGLE,
    SLICE_WORDS,
    SURE,
    bound_to,
    fields_of,
    has_digit,
)
from planbalance.naming.rules import Names

_MOST_LOOKED_AT: Final = 20_000  # ids
_YEAR: Final = re.compile("(?:19|20)[0-9]{2}")
_YEAR_BEHIND: Final = re.compile(r"(?<=[a-z])(?:19|20)[0-9]{2}\Z")
_LETTERS: Final = re.compile("[^0-9]+")


class Doubt(NamedTuple):
    """One sign that the ids are no volumes.

    Attributes:
        kind: a short stable slug.
        text: a sentence without its full stop.
        fatal: `auto` does not give such a reading.
    """

    kind: str
    text: str
    fatal: bool


def doubts(names: Names, class_names: Collection[str] = ()) -> list[Doubt]:
    """Return the signs that what was read are no volumes, the worst first.

    Args:
        names: what was read.
        class_names: of the dataset's labels.
    """
    patients = names.patients or [None] * len(names.volumes)
    units = Counter(patient or volume for patient, volume in zip(patients, names.volumes, strict=True))
    found = [_images(units), _classes(units, class_names), _slices(units), _few(units), _no_slice_numbers(names, units)]
    return sorted((doubt for doubt in found if doubt is not None), key=lambda doubt: not doubt.fatal)


def recurring_ids(names: Names) -> tuple[str, str] | None:
    """Return two ids of which one is the other behind another first field (`ED_case1`, `ES_case1`), or None."""
    units = sorted(set(names.volumes if names.patients is None else [name or "" for name in names.patients]))
    if len(units) > _MOST_LOOKED_AT:
        return None
    behind: defaultdict[str, list[str]] = defaultdict(list)
    for unit in units:
        fields = fields_of(unit)
        if len(fields) > 1 and fields[0].word not in PLACE_WORDS:
            behind[unit[fields[1].start :]].append(unit)
    pairs = [several for rest, several in behind.items() if len(several) > 1 and re.search("[0-9]", rest)]
    if len(behind) < FEW or len(pairs) < 0.1 * len(behind):
        return None
    return pairs[0][0], pairs[0][1]


def _images(units: Counter[str]) -> Doubt | None:
    single = sum(count == 1 for count in units.values())
    if single < SINGLE * len(units) or len(units) < FEW:
        return None
    return Doubt(
        "image-names",
        f"The names tell images apart, not volumes: {single:,} of {len(units):,} ids hold one image",
        fatal=True,
    )


def _classes(units: Counter[str], class_names: Collection[str]) -> Doubt | None:
    if units.total() < ENOUGH:
        return None
    listed = ", ".join(sorted(units)[:3])
    known = CLASS_WORDS | {name.lower() for name in class_names}
    words = all(_LETTERS.match(unit.lower()) and _words(unit, known) <= known for unit in units)
    if words or (len(units) < MOST_CLASSES and not any(map(has_digit, units))):
        return Doubt(
            "class-names",
            f"What the names have in common looks like classes or splits, not like volumes: {listed}",
            fatal=True,
        )
    if len(units) > 1 and all(map(_YEAR.fullmatch, units)):
        return Doubt("class-names", f"What the names have in common are years: {listed}", fatal=True)
    return None


def _words(unit: str, known: Collection[str]) -> set[str]:
    """Return the words of an id in lower case, without a year behind one (`train2017`); a known name is one word."""
    text = unit.lower()
    words = {_YEAR_BEHIND.sub("", field.text) for field in fields_of(text)}
    return {text} if text in known else words


def _slices(units: Counter[str]) -> Doubt | None:
    if len(units) > _MOST_LOOKED_AT:
        return None
    holding = [unit for unit in units if _holds_a_slice(unit)]
    if len(holding) < 0.5 * len(units):
        return None
    return Doubt(
        "slice-names",
        f"The ids read from the names still hold a slice or frame number: {', '.join(sorted(holding)[:3])}",
        fatal=True,
    )


def _holds_a_slice(unit: str) -> bool:
    fields = fields_of(unit)
    return any(
        bound_to(fields, index, SLICE_WORDS) is not None and len(field.number) <= LONGEST_NUMBER
        for index, field in enumerate(fields)
    )


def _few(units: Counter[str]) -> Doubt | None:
    if len(units) >= FEW or units.total() < ENOUGH:
        return None
    listed = ", ".join(sorted(units)[:4])
    return Doubt("few-volumes", f"Only {len(units)} volumes were read from the names: {listed}", fatal=False)


def _no_slice_numbers(names: Names, units: Counter[str]) -> Doubt | None:
    """Doubt a few ids with large gaps between the numbers behind them: such images may be a sample of many."""
    numbers: defaultdict[str, list[int]] = defaultdict(list)
    if not FEW <= len(units) < SURE or units.total() < ENOUGH:
        return None
    for volume, number in zip(names.volumes, names.numbers, strict=True):
        if number is not None:
            numbers[volume].append(number)
    far = [(max(each) - min(each)) / len(each) > 50 for each in numbers.values() if len(each) > 1]
    if not far or sum(far) < 0.5 * len(far):
        return None
    text = f"The {len(units)} ids read from the names may be classes: the numbers behind each lie far apart"
    return Doubt("class-names", text, fatal=False)


def long_numbers(numbers: Iterable[int | None]) -> bool:
    """Return whether most slice numbers have more than 7 digits: a UID or a time."""
    known = [number for number in numbers if number is not None]
    return sum(number >= 10**LONGEST_NUMBER for number in known) > 0.5 * len(known)
