"""What `relocate` and `clean` print."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from planbalance.render.table import Group, Renderable, count, line, prose, size
from planbalance.text import counted

_SHOWN: Final = 20


def relocate_text(document: Mapping[str, Any]) -> Renderable:
    """Return what a relocate did, a `RelocateOutcome` as JSON values, for a person."""
    return Group(*_relocated(document))


def _relocated(document: Mapping[str, Any]) -> Iterable[Renderable]:
    yield line(("Dataset   ", "dim"), document["dataset"])
    if document["changed"]:
        yield line(("Was       ", "dim"), document["old_path"] or "no path")
        yield line(f"{document['yaml']} now has the new path.")
    else:
        yield line(f"{document['yaml']} had this path already.")
    if document["links"]:
        yield prose(f"{count(document['retargeted'])} of {count(document['links'])} symbolic links were changed.")
    if document["listed"]:
        yield prose(f"{count(document['listed'])} paths in lists were changed.")
    dangling = document["dangling"]
    if dangling:
        yield prose(
            ("! ", "yellow"),
            f"{count(len(dangling))} links lead to files that are gone; --source OLD=NEW changes where they lead:",
        )
        yield from (line("  " + link) for link in dangling[:_SHOWN])
        if len(dangling) > _SHOWN:
            yield line(f"  and {count(len(dangling) - _SHOWN)} more (--json lists all)")


def clean_text(document: Mapping[str, Any], folder: str, command: str) -> Renderable:
    """Return `partial_builds`, each a `PartialBuild` as JSON values, and whether they were `removed`, for a person.

    Args:
        document: what `--json` prints.
        folder: that was searched.
        command: that removes them.
    """
    return Group(*_partial_builds(document, folder, command))


def _partial_builds(document: Mapping[str, Any], folder: str, command: str) -> Iterable[Renderable]:
    found = document["partial_builds"]
    if not found:
        yield prose(f"No partial builds in {folder} or below it.")
    for one in found:
        yield line(("Removed " if document["removed"] else "Partial build ", "bold"), one["path"])
        held = f", being built right now by {one['holder']}" if one["holder"] else ""
        mode = f" ({one['mode']})" if one["mode"] else ""
        yield line(f"  {counted(one['files'], 'file')}{mode}, {size(one['bytes'])}, {_age(one['age'])} old{held}")
        yield line("  of ", one["output"])
    if found and not document["removed"]:
        what = "it" if len(found) == 1 else "them"
        yield prose(f"Nothing was removed. The same apply or build, run again, finishes {what}; this removes {what}:")
        yield line(command)


def _age(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return counted(round(seconds), "second")
