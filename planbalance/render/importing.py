"""What `import` prints: the fate of every annotation, the state of every slice, volumes, groups and what comes next."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from planbalance.destination import ImportDestinations
from planbalance.import_files import GROUPS, has_groups, summary_of, volume_document
from planbalance.import_model import FATES, LEDGER_COLUMNS, STATES, ImportHeader, ImportOperation, LedgerLine
from planbalance.render.apply import warnings_text
from planbalance.render.table import Grid, Group, Renderable, count, heading, indented, line, prose
from planbalance.text import command_line, counted, some

_CSV: Final = ("volume", "source", "kind", "reviewed", *STATES, "boxes", "black", "white", "orientation", "group")
_EXAMPLES: Final = 3
_VOLUMES_SHOWN: Final = 5
FATE_MEANINGS: Final[Mapping[str, str]] = {
    "unreadable": "the row cannot be read",
    "other-reader": "of a reader or label group that was not chosen",
    "study-level": "about a whole study, without a place",
    "negative-mark": "says that nothing was found",
    "unknown-label": "a label that is not wanted",
    "no-image": "its image was not found",
    "size-mismatch": "states another size than its image has",
    "no-geometry": "has no shape from which a box could be made",
    "crowd": "marks a crowd",
    "degenerate": "its box has no area",
    "outside": "its box lies outside the image",
    "duplicate": "is equal to an earlier one",
    "clipped": "written, cut at the edge of the image",
    "used": "written",
}
STATE_MEANINGS: Final[Mapping[str, str]] = {
    "positive": "written with boxes",
    "negative": "written with an empty label",
    "unreviewed": "nobody says that it was looked at: not written",
    "doubtful": "a wanted finding without a usable box: not written",
}


def import_document(
    header: ImportHeader, ledger: Iterable[LedgerLine], *, plan_file: str | None, warnings: Sequence[str], replaced: str
) -> dict[str, Any]:
    """Return the plan of an import as JSON values, with the keys of docs/reference/json.md."""
    return {
        "plan_file": plan_file,
        "digest": header.digest,
        "replaced": replaced or None,
        "inputs": list(header.inputs),
        "output": header.output,
        "layout": header.layout,
        "classes": list(header.names),
        "summary": summary_of(header),
        "examples": _examples(ledger),
        "sources": [dict(source) for source in header.sources],
        "volumes": [volume_document(header, volume) for volume in header.volumes],
        "warnings": list(warnings),
        "next_command": next_command(header, header.output),
    }


def next_command(header: ImportHeader, output: str, *, at: str = "") -> str:
    """Return the command that divides the imported dataset into splits.

    Args:
        header: of the plan.
        output: the dataset.
        at: where it is mounted or unpacked, if it is one file.
    """
    words = ["plan", at or output]
    if has_groups(header):
        words += ["--group-map", f"{at or output}/{GROUPS}"]
    return command_line([*words, "--output", f"{output}-balanced"])


def _examples(ledger: Iterable[LedgerLine]) -> dict[str, list[str]]:
    """Return the first lines of each fate, in words."""
    place = {name: index for index, name in enumerate(LEDGER_COLUMNS)}
    found: dict[str, list[str]] = {}
    for row in ledger:
        known = found.setdefault(row[place["fate"]], [])
        if len(known) < _EXAMPLES:
            source, label = row[place["source"]], row[place["label"]]
            known.append(
                " ".join(
                    part
                    for part in (
                        f"{source}:" if source else "",
                        f"{row[place['where']]},",
                        f"'{label}'" if label else "",
                        f"in {row[place['image']]}" if row[place["image"]] else "",
                        f"({row[place['reason']]})" if row[place["reason"]] else "",
                    )
                    if part
                )
            )
    return {fate: found[fate] for fate in FATES if fate in found}


def import_text(document: Mapping[str, Any], *, commands: Sequence[str] = (), verbose: bool = False) -> Renderable:
    """Return the plan of an import for a person, ending with the commands that come next."""
    parts: list[Renderable] = [
        *_fates(document),
        *_states(document),
        *_volumes(document, verbose=verbose),
        *_groups(document),
    ]
    parts += [*_identity(document), *warnings_text(document["warnings"])]
    if document["plan_file"]:
        parts += [heading("Plan"), line(f"  {document['plan_file']} (digest {document['digest'][:12]})")]
    if document["replaced"]:
        parts.append(prose(f"  It replaced a different plan (digest {document['replaced'][:12]})."))
    for index, command in enumerate(commands):
        parts += [heading("Next")] if not index else []
        parts.append(line("  ", command))
    return Group(*parts)


def _fates(document: Mapping[str, Any]) -> Iterable[Renderable]:
    summary = document["summary"]
    yield line((f"What happened to {counted(summary['annotations'], 'annotation')}", "bold"))
    grid = Grid(("fate", "annotations", "what it means"), words=frozenset({2}))
    for fate in FATES:
        if summary["fates"][fate]:
            grid.add(fate, count(summary["fates"][fate]), FATE_MEANINGS[fate])
    yield grid.add("sum", count(sum(summary["fates"].values())), "")
    for fate, rows in document["examples"].items():
        if fate != "used":
            first = f", the first {len(rows)}" if len(rows) < summary["fates"][fate] else ""
            yield line((f"  {fate}{first}:", "dim"))
            yield from (line(f"    {row}") for row in rows)
    not_written = sum(source["not_written"] for source in document["sources"])
    if not_written:
        yield prose(f"  On doubtful slices, which are not written: {counted(not_written, 'used annotation')}.")


def _states(document: Mapping[str, Any]) -> Iterable[Renderable]:
    summary = document["summary"]
    yield heading("Slices")
    grid = Grid(("state", "slices", "what it means"), words=frozenset({2}))
    for state in STATES:
        grid.add(state, count(summary["states"][state]), STATE_MEANINGS[state])
    yield grid
    boxes, classes = counted(summary["boxes"], "box", "boxes"), ", ".join(document["classes"])
    yield prose(f"  {counted(summary['slices'], 'slice is', 'slices are')} written with {boxes} of {classes}.")


def _volumes(document: Mapping[str, Any], *, verbose: bool) -> Iterable[Renderable]:
    counts, volumes = document["summary"]["volumes"], document["volumes"]
    yield heading("Volumes")
    yield prose(
        f"  {counted(counts['total'], 'volume')}: {count(counts['reviewed'])} reviewed, "
        f"{count(counts['partly_reviewed'])} in part, {count(counts['unreviewed'])} not. Slices of "
        f"{count(counts['written'])} are written; a finding is in {count(counts['positive'])} of them."
    )
    orientations = Counter(volume["orientation"] for volume in volumes if volume["orientation"])
    for orientation, number in orientations.most_common(_VOLUMES_SHOWN):
        yield line(f"  {orientation}: {counted(number, 'volume')}")
    if any(volume["flipped"] for volume in volumes):
        yield prose("  Pictures are turned upside down, because the boxes of this format refer to such pictures.")
    windowed = [volume for volume in volumes if volume["window"]]
    shown = windowed if verbose else windowed[:_VOLUMES_SHOWN]
    if shown:
        grid = Grid(("volume", "black at", "white at", "slices", "positive", "boxes"))
        for volume in shown:
            low, high = volume["window"]
            slices = volume["positive"] + volume["negative"]
            grid.add(volume["volume"], f"{low:g}", f"{high:g}", count(slices), count(volume["positive"]),
                     count(volume["boxes"]))  # fmt: skip
        yield grid
    if len(shown) < len(windowed):
        yield indented(f"and {counted(len(windowed) - len(shown), 'more volume')}: --verbose shows all.")


def _groups(document: Mapping[str, Any]) -> Iterable[Renderable]:
    groups = document["summary"]["groups"]
    yield heading("Groups")
    if not groups["known"]:
        yield prose("  Patients are not known.")
        return
    yield prose(f"  Volumes of one patient belong together: {counted(groups['known'], 'group')}, as keyed hashes.")
    if groups["volumes_without"]:
        yield prose(f"  Not known of {counted(groups['volumes_without'], 'volume')}.")


def _identity(document: Mapping[str, Any]) -> Iterable[Renderable]:
    yield heading("Identity")
    for sentence in identity_sentences(document):
        yield indented(sentence)


def identity_sentences(document: Mapping[str, Any]) -> Iterable[str]:
    """Yield what is known of names of people in the sources and in what is written, and what was not checked."""
    kinds = {volume["kind"] for volume in document["volumes"]}
    written = [volume for volume in document["volumes"] if volume["positive"] + volume["negative"]]
    tags, in_paths = (_of_all_sources(document, name) for name in ("tags", "tags_in_paths"))
    if tags:
        yield f"Tags that name people or places are filled in the sources: {tags}."
    elif kinds & {"dicom", "h5"}:
        yield "No tag that names people or places is filled in DICOM headers, and no patient_id in .h5 files."
    if in_paths:
        yield f"Values of tags are part of paths of the sources: {in_paths}."
    elif kinds & {"dicom", "h5"}:
        yield "No PatientID, PatientName or AccessionNumber of four letters or more is part of a path of the sources."
    if any(volume["window"] for volume in written):
        yield "The rendered pictures carry no header."
    if any(not volume["window"] for volume in written):
        yield "Files that are taken as they are keep all that they hold beside the pixels."
    beside = ", and what pictures and NIfTI files hold beside them" if kinds & {"picture", "nifti"} else ""
    yield f"Not checked: text in the pixels{beside}."


def _of_all_sources(document: Mapping[str, Any], name: str) -> str:
    """Return the tags that the identity checks of all sources list under a name, each with its number of volumes."""
    found: Counter[str] = Counter()
    for source in document["sources"]:
        found.update(source["identity"][name])
    return some((f"{tag} ({counted(number, 'volume')})" for tag, number in sorted(found.items())), most=12)


# ---- one volume, and all volumes as CSV -----------------------------------------------------------------------------


def imported_volume_document(header: ImportHeader, index: int, operations: Iterable[ImportOperation]) -> dict[str, Any]:
    """Return one volume of the plan of an import with its slices, as JSON values."""
    destinations = ImportDestinations(header.volumes, by_volume=header.layout == "by-volume")
    slices = []
    for each in operations:
        if each.volume == index:
            place = destinations.of(each)
            slices.append(
                {
                    "number": each.number,
                    "name": f"{place.folder}/{place.name}",
                    "source": f"{header.inputs[each.input]}/{each.image}",
                    "plane": each.plane,
                    "width": each.width,
                    "height": each.height,
                    "rendered": bool(each.pixels),
                    "label": each.label.splitlines(),
                }
            )
    return {**volume_document(header, header.volumes[index]), "slices": slices}


def imported_volume_text(document: Mapping[str, Any]) -> Renderable:
    """Return one volume for a person."""
    grid = Grid(("slice", "boxes", "file", "source"), words=frozenset({2, 3}))
    for each in document["slices"]:
        plane = f" #{each['plane']}" if each["plane"] else ""
        grid.add(each["number"], count(len(each["label"])), each["name"], f"{each['source']}{plane}")
    window = document["window"]
    said = f"black at {window[0]:g}, white at {window[1]:g}" if window else "taken as it is"
    return Group(
        line(("Volume  ", "dim"), document["volume"]),
        line(
            ("Kind    ", "dim"), ", ".join(part for part in (document["kind"], document["orientation"], said) if part)
        ),
        line(("States  ", "dim"), ", ".join(f"{count(document[state])} {state}" for state in STATES)),
        grid,
    )


def imported_volumes_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return all volumes of the plan of an import as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_CSV)
    for row in rows:
        low, high = row["window"] or ("", "")
        values = {**row, "black": low, "white": high, "group": row["group"] or ""}
        writer.writerow([values[name] for name in _CSV])
    return text.getvalue()
