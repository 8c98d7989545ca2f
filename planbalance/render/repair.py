"""What is shown of a repair: each group that lay in several splits, what is done with its slices and why, and sums.

A plan's `parameters` are as untrusted as the rest of its free members: where they are no repair, nothing is shown.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from planbalance.model import SPLITS, Audit, Split
from planbalance.render.table import Grid, Renderable, count, heading, item, line, prose
from planbalance.text import counted, some

SHOWN: Final = 20  # groups; --verbose lists all
# The checks of an audit whose failure a repair mends, as docs/reference/json.md names them.
_MENDED: Final = frozenset(("volume-overlap", "group-overlap", "duplicate-content"))
_COUNTS: Final = ("moved", "left_out", "copies", "fewest")


class MendedGroup(NamedTuple):
    """One group that lay in several splits.

    Attributes:
        group: its id.
        volumes: their ids.
        to: the split where its slices are now.
        kept: whether that split was to stay as it is.
        slices: where they were.
        moved: slices that go to `to`, by the split that they come from.
        left_out: slices that are in the dataset no more, by the split that they were in.
        copies: those of `left_out` of which an image of the same name and bytes stays.
    """

    group: str
    volumes: tuple[str, ...]
    to: Split
    kept: bool
    slices: Mapping[Split, int]
    moved: Mapping[Split, int]
    left_out: Mapping[Split, int]
    copies: int

    def name(self, unit: str) -> str:
        """Return what the group is, such as `volume 017`; volumes that identical images join are all named."""
        if unit == "volume" and len(self.volumes) > 1:
            return f"volumes {some(self.volumes, 3)} (identical images)"
        return f"{unit} {self.group}"

    def change(self) -> str:
        """Return what is done with its slices."""
        moved = [(number, f"{split} -> {self.to}") for split, number in self.moved.items()]
        gone = [(number, f"of {split}") for split, number in self.left_out.items()]
        only_copies = self.copies == sum(self.left_out.values())
        parts = [f"{counted(number, 'slice')} {way}" for number, way in moved[:1]]
        parts += [f"{number:,} {way}" for number, way in moved[1:]]
        nouns = ("copy", "copies") if only_copies else ("slice", "slices")
        parts += [f"{counted(number, *nouns)} left out {way}" for number, way in gone[:1]]
        parts += [f"{number:,} {way}" for number, way in gone[1:]]
        return ", ".join(parts)

    def reason(self) -> str:
        """Return why its slices are where they are."""
        most, whole = self.slices.get(self.to, 0), sum(self.slices.values())
        equal = [split for split, number in self.slices.items() if number == most]
        if self.kept:
            return f"{self.to}, kept, holds {most:,} of its {whole:,}"
        if len(equal) > 1:
            return f"{' and '.join(equal)} hold {most:,} each: the first of them"
        return f"{self.to} holds {most:,} of its {whole:,}"


class RepairFacts(NamedTuple):
    """A repair, as a plan tells it.

    Attributes:
        keep: the splits that stay as they are.
        before: slices and positive ones of each split of the dataset.
        after: the same of the mended dataset.
        moved: slices that go to another split.
        left_out: slices that are in the dataset no more.
        copies: those of them of which an image of the same name and bytes stays.
        fewest: the fewest slices that any repair moves or leaves out.
        groups: those that lay in several splits.
    """

    keep: tuple[str, ...]
    before: Mapping[Split, tuple[int, int]]
    after: Mapping[Split, tuple[int, int]]
    moved: int
    left_out: int
    copies: int
    fewest: int
    groups: tuple[MendedGroup, ...]

    @property
    def proven(self) -> bool:
        """Whether no smaller repair exists."""
        return self.moved + self.left_out == self.fewest

    @property
    def proof(self) -> str:
        """The sum, and that there is no smaller one, in two sentences."""
        copies = f" ({counted(self.copies, 'copy', 'copies')} among them)" if self.copies else ""
        both = self.moved + self.left_out
        told = f"{counted(self.moved, 'slice')} moved, {self.left_out:,} left out{copies}: {both:,} in all."
        if not self.proven:
            return f"{told} At least {self.fewest:,} are needed."
        keeping = f" that keeps {' and '.join(self.keep)} as it is" if self.keep else ""
        return f"{told} Proven: every repair{keeping} moves or leaves out at least {self.fewest:,}."

    def rows(self) -> Iterable[tuple[Split, int, int, int, int, int, int, int]]:
        """Yield for each split: slices before, moved in, moved out, left out, after; positive slices before, after."""
        entered: Counter[Split] = Counter()
        moved: Counter[Split] = Counter()
        gone: Counter[Split] = Counter()
        for each in self.groups:
            entered[each.to] += sum(each.moved.values())
            moved.update(each.moved)
            gone.update(each.left_out)
        for split in SPLITS:
            (before, positive), (after, left) = self.before[split], self.after[split]
            yield split, before, entered[split], moved[split], gone[split], after, positive, left


def repair_facts(parameters: Mapping[str, Any]) -> RepairFacts | None:
    """Return the repair that a plan's parameters tell; None where they tell none."""
    found = parameters.get("repair")
    try:
        return None if found is None else _facts(found)
    except (KeyError, TypeError, AttributeError):
        return None


def _facts(found: Mapping[str, Any]) -> RepairFacts:
    moved, left_out, copies, fewest = (_number(found[key]) for key in _COUNTS)
    return RepairFacts(
        keep=tuple(_split(split) for split in found["keep"]),
        before=_totals(found["before"]),
        after=_totals(found["after"]),
        moved=moved,
        left_out=left_out,
        copies=copies,
        fewest=fewest,
        groups=tuple(map(_group, found["groups"])),
    )


def _group(found: Mapping[str, Any]) -> MendedGroup:
    return MendedGroup(
        group=_text(found["group"]),
        volumes=tuple(map(_text, found["volumes"])),
        to=_split(found["to"]),
        kept=found["kept"] is True,
        slices=_by_split(found["slices"]),
        moved=_by_split(found["moved"]),
        left_out=_by_split(found["left_out"]),
        copies=_number(found["copies"]),
    )


def _totals(found: Mapping[str, Any]) -> dict[Split, tuple[int, int]]:
    return {split: (_number(found[split]["total"]), _number(found[split]["positive"])) for split in SPLITS}


def _by_split(found: Mapping[str, object]) -> dict[Split, int]:
    return {_split(split): _number(number) for split, number in found.items()}


def _split(value: object) -> Split:
    for split in SPLITS:
        if split == value:
            return split
    raise TypeError(value)


def _number(value: object) -> int:
    if type(value) is not int or value < 0:
        raise TypeError(value)
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def can_repair(audit: Audit) -> bool:
    """Return whether an audit found a leak that `repair` mends; each split has its own images, and train keeps some."""
    shared = any(problem.kind == "split-overlap" for check in audit.checks for problem in check.problems)
    leaks = any(check.ok is False and check.name in _MENDED for check in audit.checks)
    return leaks and audit.leaves_train and not shared


def repair_sections(repair: RepairFacts, unit: str, *, every: bool = False) -> Iterable[Renderable]:
    """Yield what moves and why, and the slices of each split; `every`: all groups."""
    yield heading(f"What moves, and why ({counted(len(repair.groups), unit)} in several splits)")
    shown = repair.groups if every else repair.groups[:SHOWN]
    yield from (item("-", f"{each.name(unit)}: {each.change()} ({each.reason()})") for each in shown)
    if len(repair.groups) > len(shown):
        yield line(f"  and {count(len(repair.groups) - len(shown))} more (--verbose lists all)")
    yield heading("Slices of each split")
    columns = ("before", "moved in", "moved out", "left out", "after", "positive before", "after")
    grid = Grid(["", *columns])
    rows = list(repair.rows())
    for row in rows:
        grid.add(row[0], *map(count, row[1:]))
    yield grid.add("all", *map(count, _sums(rows)))
    yield prose(f"  {repair.proof}")


def _sums(rows: Sequence[tuple[Any, ...]]) -> list[int]:
    return [sum(column) for column in list(zip(*rows, strict=True))[1:]]
