"""What `diff` prints: what changes from one plan to another."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from planbalance.render.table import Grid, Group, Renderable, count, heading, line, prose

_SHOWN: Final = 20


def diff_text(document: Mapping[str, Any]) -> Renderable:
    """Return the differences of two plans, `PlanDiff.to_json()`, for a person."""
    if document["identical"]:
        return Group(line("The plans are the same: ", document["new_digest"]))
    return Group(
        line(("old  ", "dim"), document["old_digest"]),
        line(("new  ", "dim"), document["new_digest"]),
        prose(_verdict(document)),
        *_volumes(document),
        *_slices(document["slices"]),
        *_listed("Labels with other content", document["labels_changed"]),
        *_parameters(document["parameters"]),
    )


def _verdict(document: Mapping[str, Any]) -> str:
    if document["same_split"]:
        return "Volumes, splits and kept slices are the same; something else differs."
    if document["moved"]:
        return f"{count(len(document['moved']))} volumes are in another split."
    return "No volume that both plans have is in another split."


def _volumes(document: Mapping[str, Any]) -> Iterable[Renderable]:
    yield from _listed("Volumes moved", [f"{one['volume']}: {one['old']} -> {one['new']}" for one in document["moved"]])
    yield from _listed(
        "Volumes only in the new plan", [f"{one['volume']}: {one['split']}" for one in document["added"]]
    )
    yield from _listed(
        "Volumes only in the old plan", [f"{one['volume']}: {one['split']}" for one in document["removed"]]
    )


def _slices(flows: Mapping[str, Mapping[str, int]]) -> Iterable[Renderable]:
    yield heading("Kept slices")
    grid = Grid(["", "in", "out", "stay"])
    for split, flow in flows.items():
        grid.add(split, *(count(flow[key]) for key in ("entered", "left", "stayed")))
    yield grid


def _parameters(changed: Sequence[Mapping[str, Any]]) -> Iterable[Renderable]:
    yield from _listed("Options", [f"{one['name']}: {one['old']} -> {one['new']}" for one in changed])


def _listed(title: str, rows: Sequence[str]) -> Iterable[Renderable]:
    if rows:
        yield heading(f"{title} ({count(len(rows))})")
        for row in rows[:_SHOWN]:
            yield line("  " + row)
        if len(rows) > _SHOWN:
            yield line(f"  and {count(len(rows) - _SHOWN)} more (--json lists all)")
