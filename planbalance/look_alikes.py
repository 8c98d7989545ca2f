"""Pairs of volumes that look alike: which are joined, and the CSV in which a person says what they are. Pure.

A pair is certain, and joined, where most slices of the smaller volume look much like slices of the other one, in one
order. A pair that is alike in fewer slices, or less, is possible: it is shown and not joined. The limits were measured:
benchmarks/README.md, "Hidden patients".
"""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import StringIO
from typing import Any, Final, NamedTuple

from planbalance.errors import InputError
from planbalance.grouping import bad_map, column_places, csv_lines
from planbalance.model import Slice
from planbalance.text import counted, some

COLUMNS: Final = (
    "volume_a",
    "volume_b",
    "slices_alike",
    "slices_a",
    "slices_b",
    "likeness",
    "joined",
    "same_patient",
)
_ANSWER: Final = "same_patient"
_WORDS: Final[Mapping[str, bool | None]] = {"yes": True, "no": False, "": None}
_SHOWN: Final = 3  # slices of a pair that the page shows
_LEAST_SLICES: Final = 3  # of a certain pair; of smaller volumes all slices must be nearly equal
_CERTAIN: Final = 0.86
_NEARLY_EQUAL: Final = 0.95

Answers = Mapping[tuple[str, str], bool]  # whether two volumes, sorted by id, are of one patient


class SlicePair(NamedTuple):
    """A slice of each volume, and how alike they are: above 0, and 1 for equal pixels."""

    left: Slice
    right: Slice
    likeness: float


class VolumePair(NamedTuple):
    """Two volumes of which slices look alike, in one order.

    Attributes:
        left, right: their ids, in the order of the volumes.
        alike: how many slices look alike.
        left_slices, right_slices: how many slices of each were compared: those that show something.
        likeness: the median of the slices that look alike; above 0, and 1 for equal pixels.
        slices: these slices, in the order of `left`.
    """

    left: str
    right: str
    alike: int
    left_slices: int
    right_slices: int
    likeness: float
    slices: tuple[SlicePair, ...] = ()

    @property
    def is_certain(self) -> bool:
        """Whether the two are joined without a person's answer."""
        smaller = min(self.left_slices, self.right_slices)
        if smaller < _LEAST_SLICES:
            return 0 < smaller == self.alike and self.likeness >= _NEARLY_EQUAL
        return self.alike >= _LEAST_SLICES and self.alike * 10 >= smaller * 6 and self.likeness >= _CERTAIN

    @property
    def is_possible(self) -> bool:
        """Whether a person should look at the two."""
        smaller = min(self.left_slices, self.right_slices)
        if self.alike < 2:
            return self.alike == smaller == 1
        return self.alike * 2 >= smaller or self.likeness >= _CERTAIN


class Undecoded(NamedTuple):
    """A picture that could not be compared, and why."""

    path: str
    reason: str


class FoundPairs(NamedTuple):
    """What a search for volumes that look alike has found.

    Attributes:
        pairs: sorted by the places of the volumes.
        undecoded: the pictures that could not be compared.
        unseen: ids of volumes of which no slice shows enough to be compared.
    """

    pairs: tuple[VolumePair, ...]
    undecoded: tuple[Undecoded, ...]
    unseen: tuple[str, ...]


class DecidedPair(NamedTuple):
    """A pair of volumes, what a person said of it (None: nothing yet), and whether it is joined."""

    pair: VolumePair
    answer: bool | None
    joined: bool


class LookAlikes(NamedTuple):
    """The pairs of a plan, sorted by their ids, and sentences on what was not compared."""

    pairs: tuple[DecidedPair, ...]
    warnings: tuple[str, ...]

    @property
    def joined(self) -> list[tuple[str, str]]:
        """The pairs that are joined."""
        return [(one.pair.left, one.pair.right) for one in self.pairs if one.joined]


def decide(found: FoundPairs, answers: Answers) -> LookAlikes:
    """Return the pairs with what is decided of them: a person's answer, else a certain pair is joined.

    Pairs that are neither certain nor possible and have no answer are left out. A pair that has an answer and was not
    found is there with no slices.
    """
    pairs = {_sorted(one.left, one.right): one for one in found.pairs}
    for left, right in answers:
        pairs.setdefault((left, right), VolumePair(left, right, 0, 0, 0, 0.0))
    decided = []
    for both, one in sorted(pairs.items()):
        answer = answers.get(both)
        if answer is not None or one.is_certain or one.is_possible:
            decided.append(DecidedPair(one, answer, one.is_certain if answer is None else answer))
    return LookAlikes(tuple(decided), tuple(_warnings(found)))


def _sorted(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one <= other else (other, one)


def _warnings(found: FoundPairs) -> Iterator[str]:
    if found.undecoded:
        listed = some((f"{one.path} ({one.reason})" for one in found.undecoded), 3)
        yield f"{counted(len(found.undecoded), 'picture')} could not be compared with others: {listed}."
    if found.unseen:
        yield (
            f"{counted(len(found.unseen), 'volume')} NOT CHECKED for look-alikes, as no slice shows enough: "
            f"{some(found.unseen)}."
        )


def refuse_undecoded(found: FoundPairs, slices: int) -> None:
    """Refuse a search in which not one picture was decoded.

    Raises:
        InputError: no picture could be decoded (kind `no-picture-decoded`).
    """
    if slices and len(found.undecoded) == slices:
        first = found.undecoded[0]
        raise InputError(
            f"No picture could be decoded, so no look-alikes can be found: {first.path} ({first.reason}).",
            kind="no-picture-decoded",
            hint="Leave look-alikes out of --group-from, or give images that can be decoded.",
            paths=[one.path for one in found.undecoded],
        )


# ---- in the plan ----------------------------------------------------------------------------------------------------


def pairs_document(pairs: Iterable[DecidedPair]) -> list[dict[str, Any]]:
    """Return the pairs as the plan stores them (`parameters.groups.look_alikes`)."""
    return [
        {
            "volumes": [pair.left, pair.right],
            "alike": pair.alike,
            "slices": [pair.left_slices, pair.right_slices],
            "likeness": f"{pair.likeness:.2f}",
            "joined": joined,
            "same_patient": answer,
            "shown": [
                [[one.left.file.input, one.left.file.path], [one.right.file.input, one.right.file.path]]
                for one in (pair.slices[place] for place in spread(len(pair.slices), _SHOWN))
            ],
        }
        for pair, answer, joined in pairs
    ]


def spread(count: int, most: int) -> list[int]:
    """Return the places of at most `most` of `count` slices, at equal distances; without both ends if some are left."""
    if count <= most:
        return list(range(count))
    return [(2 * step + 1) * count // (2 * most) for step in range(most)]


class PlannedPair(NamedTuple):
    """A pair of volumes as a plan holds it; the plan may not be trusted.

    Attributes:
        left, right: ids of the volumes.
        alike: how many slices look alike.
        slices: how many of each volume were compared.
        likeness: their median likeness, as a text with two decimals.
        joined: whether they are one group.
        same_patient: what a person said; None: nothing.
        shown: a few pairs of slices: input and path of each.
    """

    left: str
    right: str
    alike: int
    slices: tuple[int, int]
    likeness: str
    joined: bool
    same_patient: bool | None
    shown: tuple[tuple[tuple[int, str], tuple[int, str]], ...]


def planned_pairs(parameters: Mapping[str, Any]) -> list[PlannedPair]:
    """Return the pairs that a plan's parameters hold; what does not have their form is left out."""
    groups = parameters.get("groups")
    found = groups.get("look_alikes") if isinstance(groups, Mapping) else None
    pairs = (_planned_pair(one) for one in found) if isinstance(found, list) else ()
    return [pair for pair in pairs if pair is not None]


def _planned_pair(value: object) -> PlannedPair | None:
    match value:
        case {
            "volumes": [str(left), str(right)],
            "alike": int(alike),
            "slices": [int(of_left), int(of_right)],
            "likeness": str(likeness),
            "joined": bool(joined),
            "same_patient": bool() | None as answer,
            "shown": [*shown],
        }:
            slices = tuple(
                ((one, first), (other, second)) for pair in shown for one, first, other, second in _shown_slices(pair)
            )
            return PlannedPair(left, right, alike, (of_left, of_right), likeness, joined, answer, slices)
    return None


def _shown_slices(value: object) -> Iterator[tuple[int, str, int, str]]:
    match value:
        case [[int(one), str(first)], [int(other), str(second)]]:
            yield one, first, other, second


def answers_of(pairs: Iterable[PlannedPair]) -> dict[tuple[str, str], bool]:
    """Return what a person said of the pairs of a plan."""
    return {_sorted(one.left, one.right): one.same_patient for one in pairs if one.same_patient is not None}


# ---- the CSV --------------------------------------------------------------------------------------------------------


def csv_of(pairs: Iterable[PlannedPair]) -> str:
    """Return the CSV with one line for each pair: a person fills the column `same_patient` with yes or no."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in pairs:
        answer = "" if one.same_patient is None else _yes_or_no(one.same_patient)
        writer.writerow((one.left, one.right, one.alike, *one.slices, one.likeness, _yes_or_no(one.joined), answer))
    return text.getvalue()


def _yes_or_no(value: bool) -> str:  # noqa: FBT001 - a value to write, no switch
    return "yes" if value else "no"


class EditedCsv(NamedTuple):
    """What a CSV that is there holds.

    Attributes:
        edited: a person has written into it, or it is no CSV of ours: it must not be overwritten.
        has_all: every pair of the plan is in it.
        unknown: it has answers that the plan does not have.
    """

    edited: bool
    has_all: bool
    unknown: bool


def edited_csv(text: str, pairs: Sequence[PlannedPair]) -> EditedCsv:
    """Return what a CSV holds that is in the place of the CSV of these pairs."""
    try:
        answers = parse_answers(text, None, "")
        headings, rows = csv_lines(text, "", "")
    except InputError:
        return EditedCsv(edited=True, has_all=False, unknown=True)
    known = answers_of(pairs)
    listed = {_sorted(row[0].strip(), row[1].strip()) for _, row in rows if len(row) > 1}
    return EditedCsv(
        edited=bool(answers) or tuple(headings) != COLUMNS,
        has_all=tuple(headings[:2]) == COLUMNS[:2] and all(_sorted(one.left, one.right) in listed for one in pairs),
        unknown=any(known.get(pair) is not answer for pair, answer in answers.items()),
    )


def parse_answers(text: str, volumes: Iterable[str] | None, name: str) -> dict[tuple[str, str], bool]:
    """Read the answers from the CSV text; lines without an answer are as found.

    Args:
        text: with the columns `volume_a`, `volume_b` and `same_patient`, and perhaps others.
        volumes: the ids that there are; None: any.
        name: of the file, for messages.

    Raises:
        InputError: a column is absent, a volume is unknown, an answer is neither yes nor no, or a pair has both (kind
            `bad-map`); each is named with its line.
    """
    headings, rows = csv_lines(text, name, ",".join(COLUMNS))
    wanted = (*COLUMNS[:2], _ANSWER)
    hint = f"The first line must name the columns {', '.join(wanted)}."
    places = column_places(headings, wanted, name, hint).values()
    known = None if volumes is None else set(volumes)
    answers: dict[tuple[str, str], bool] = {}
    faults: list[str] = []
    for number, row in rows:
        left, right, word = (row[place].strip() if place < len(row) else "" for place in places)
        unknown = [] if known is None else [volume for volume in (left, right) if volume not in known]
        answer = _WORDS.get(word.lower())
        faults += [f"line {number}: there is no volume {volume!r}" for volume in unknown]
        if word.lower() not in _WORDS:
            faults.append(f"line {number}: {_ANSWER} is {word!r}")
        elif left == right:
            faults.append(f"line {number}: {left!r} twice")
        elif answer is not None and answers.setdefault(_sorted(left, right), answer) is not answer:
            faults.append(f"line {number}: {left!r} and {right!r} have yes and no")
    if faults:
        raise bad_map(
            f"{name} cannot be used: {some(faults)}.",
            f"Fill {_ANSWER} with yes, no or nothing, and remove lines of volumes that are not there.",
            *faults,
        )
    return answers
