"""What each source of groups has joined, and the pairs of volumes that look alike, for `scan`, `plan` and the page."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from planbalance.group_sources import IDENTICAL, LOOK_ALIKES, SourceJoins, names_patients
from planbalance.look_alikes import PlannedPair
from planbalance.render.table import Grid, Renderable, count, heading, indented, item
from planbalance.text import counted, some

_SETS_SHOWN: Final = 5
_PAIRS_SHOWN: Final = 10


def groups_text(
    rows: Sequence[SourceJoins], pairs: Sequence[PlannedPair], file: str | None = None, *, table: bool = True
) -> Iterable[Renderable]:
    """Yield a table of the sources with what they have joined; nothing where there is one source.

    Args:
        rows: of the sources.
        pairs: of volumes that look alike.
        file: the CSV with the pairs, if there is one.
        table: a table with all that was joined; else without what the warnings of a plan tell.
    """
    if not rows:
        return
    yield heading("Groups of volumes, by source")
    if table:
        grid = Grid(["", "joins", "only this source"])
        for row in rows:
            grid.add(row.name, count(row.joins), count(row.alone))
        yield grid
        yield indented("A join makes one group of two. The last column counts joins that no other source makes.")
    else:
        yield indented(f"Joins: {', '.join(f'{row.name} {count(row.joins)}' for row in rows)}.")
    yield from (item("-", sentence) for sentence in joins_sentences(rows, warned=not table))
    if table:
        yield from (item("-", sentence) for sentence in pairs_sentences(pairs))
    if file and pairs:
        yield item("-", f"The pairs are in {file}: write yes or no into same_patient, and give it back: --look-alikes.")


def joins_sentences(rows: Sequence[SourceJoins], *, warned: bool = False) -> Iterable[str]:
    """Yield what the sources put together that the first one, which names patients, keeps apart.

    `warned`: without what equal images join, which the warnings of a plan tell.
    """
    first = rows[0].name if rows and names_patients(rows[0].name) else ""
    for row in rows:
        if row.sets and row.name != LOOK_ALIKES and not (warned and row.name == IDENTICAL):
            shown = some((" + ".join(ids) for ids in row.sets), _SETS_SHOWN)
            apart = f" that {first} keeps apart" if first else ""
            what = "equal images" if row.name == IDENTICAL else row.name
            yield f"{what} joined {counted(len(row.sets), 'set')} of volumes{apart}: {shown}."


def pairs_sentences(pairs: Sequence[PlannedPair]) -> Iterable[str]:
    """Yield how many pairs of volumes that look alike were joined, which were not, and what a person said."""
    for what, chosen in (
        ("joined {}", [one for one in pairs if one.joined and one.same_patient is None]),
        ("joined {} because a person said yes", [one for one in pairs if one.same_patient is True]),
        ("left {} apart because a person said no", [one for one in pairs if one.same_patient is False]),
        ("found {} that may be one patient, and did NOT join them", [one for one in pairs if is_open(one)]),
    ):
        if chosen:
            number = counted(len(chosen), "pair of volumes", "pairs of volumes")
            yield f"look-alikes {what.format(number)}: {some(map(spelled_pair, chosen), _PAIRS_SHOWN)}."


def is_open(one: PlannedPair) -> bool:
    """Return whether nobody has decided on a pair, and it is not joined."""
    return not one.joined and one.same_patient is None


def spelled_pair(one: PlannedPair) -> str:
    """Return a pair with what was found: `a + b (12 of 14 slices alike, likeness 0.98)`."""
    if not one.alike:
        return f"{one.left} + {one.right}"
    return f"{one.left} + {one.right} ({one.alike} of {min(one.slices)} slices alike, likeness {one.likeness})"


def reading_note(sources: Sequence[Mapping[str, Any]]) -> str:
    """Return what joins volumes where patients are not known."""
    found = any(one.get("source") == LOOK_ALIKES for one in sources)
    return "look alike or share identical images" if found else "share identical images"
