"""Find the rule for `auto`: search some of the names, and write the result as a rule that reads all of them."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final, NamedTuple

from planbalance.errors import UsageError
from planbalance.model import Naming
from planbalance.naming.pattern import pattern_of
from planbalance.naming.rules import Names, Reader, read_names, reader, same_partition
from planbalance.naming.search import Layout, find_layouts

_MOST_ANALYSED: Final = 6_000  # names whose fields are looked at; of a volume's slices a few are enough
_BLOCK: Final = 60  # names side by side, so that several are of one volume
_OF_ONE: Final = 3  # of names that differ in their last number only, how many are analysed
_ROUNDS: Final = 3  # names that a pattern does not read are analysed in the next round


class Searched(NamedTuple):
    """What the search found.

    Attributes:
        naming: the rule; a named one, where it reads the names in the same way as the pattern.
        names: what it reads.
        other: another reading that the names allow; None where they allow one only.
        apart: the reading by which equal ids in several folders (classes, planes) are different ids; None where no id
            is in several folders.
        crosses: the other reading divides the units of this one, and is divided by it.
    """

    naming: Naming
    names: Names
    other: "Other | None" = None
    apart: "Other | None" = None
    crosses: bool = False


class Other(NamedTuple):
    """A reading that the names allow and that was not chosen.

    Attributes:
        units: how many patients or volumes it finds.
        image: one of the images.
        unit: the patient or volume of that image.
        of_patients: whether its units are patients.
        pattern: its regular expression.
    """

    units: int
    image: str
    unit: str
    of_patients: bool
    pattern: str


class NoPatternError(ValueError):
    """No single pattern reads all names; `unread` are those that the best one does not read."""

    def __init__(self, unread: Sequence[str]) -> None:
        super().__init__("The names have several forms, which no one pattern reads")
        self.unread = list(unread)


def search_names(paths: Sequence[str]) -> Searched:
    """Find the rule that reads all names. `paths` lie below their image folder and carry a suffix.

    Raises:
        NoReadingError: nothing in the names can be a volume.
        NoPatternError: no one pattern reads them all.
    """
    analysed = _some_of_each(paths)
    unread: list[str] = []
    for _ in range(_ROUNDS):
        found = find_layouts(analysed)
        for layouts, other in ((found.layouts, found.other), (found.other, found.layouts)):
            if layouts is None:
                continue
            expressed = _expressed(layouts, paths)
            if isinstance(expressed, tuple):
                others = [None if one is None else _other(one, paths) for one in (other, found.apart)]
                return Searched(*expressed, others[0], others[1], found.crosses)
            unread = expressed
        if not unread:
            break
        analysed = [*analysed, *unread[:_MOST_ANALYSED]]
    raise NoPatternError(unread)


def _some_of_each(paths: Sequence[str]) -> list[str]:
    """Return the names to analyse: a few of those that differ in their last numbers only."""
    if len(paths) <= _MOST_ANALYSED:
        return list(paths)
    some = _first_of_each([path[: path.rfind(".")].rstrip("0123456789") for path in paths], paths, _OF_ONE)
    for numbers in (1, 2, 3):
        if len(some) <= _MOST_ANALYSED:
            return some
        some = _first_of_each([_without_numbers(path, numbers) for path in some], some, _OF_ONE**numbers)
    step = len(some) * _BLOCK // _MOST_ANALYSED + 1
    return [path for start in range(0, len(some), step) for path in some[start : start + _BLOCK]]


def _first_of_each(keys: Sequence[str], paths: Sequence[str], most: int) -> list[str]:
    """Return the first few paths of each key."""
    seen: defaultdict[str, int] = defaultdict(int)
    kept = []
    for key, path in zip(keys, paths, strict=True):
        seen[key] = count = seen[key] + 1
        if count <= most:
            kept.append(path)
    return kept


def _without_numbers(path: str, numbers: int) -> str:
    """Return a path without its suffix and its last few numbers."""
    text = path[: path.rfind(".")]
    behind = ""
    for _ in range(numbers):
        before = text.rstrip("0123456789")
        while before == text and text:  # no number at the end: go back to the one before
            behind, text = text[-1] + behind, text[:-1]
            before = text.rstrip("0123456789")
        text = before
    return f"{text}\0{behind}"


def _expressed(layouts: list[Layout], paths: Sequence[str]) -> tuple[Naming, Names] | list[str]:
    """Return the rule that reads all names as the layouts do, or the names that it does not read."""
    unread: list[str] = []
    for naming in _simplest_first(layouts):
        read = reader(naming)
        if not _agrees(read, layouts):
            continue
        names = read_names(naming, paths)
        if names is not None:
            return naming, names
        unread = unread or [path for path in paths if read(path) is None]
    return unread


def _simplest_first(layouts: list[Layout]) -> list[Naming]:
    """Return the rules that may read names as the layouts do: the named ones, then patterns, the most exact first."""
    rules = [] if any(one.patient is not None for one in layouts) else [Naming("trailing-number"), Naming("parent-dir")]
    coarse = [one._replace(volume=one.patient or one.volume, patient=None) for one in layouts]
    for several in (layouts, coarse, [one._replace(number=None) for one in coarse]):
        naming = Naming("regex", pattern_of(several))
        try:
            reader(naming)
        except UsageError:
            continue
        rules.append(naming)
    return list(dict.fromkeys(rules))


def _agrees(read: Reader, layouts: list[Layout]) -> bool:
    """Return whether a rule puts the same names into one unit as the layouts do."""
    units = []
    for one in layouts:
        name = read(f"{one.text}.png")
        if name is None:
            return False
        units.append(name.patient or name.volume)
    return same_partition(units, [one.unit for one in layouts])


def _other(layouts: list[Layout], paths: Sequence[str]) -> Other:
    one = layouts[len(layouts) // 2]
    image = next(path for path in paths if path.startswith(f"{one.text}."))
    return Other(len({each.unit for each in layouts}), image, one.unit, one.patient is not None, pattern_of(layouts))
