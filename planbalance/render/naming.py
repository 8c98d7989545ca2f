"""The first lines that `scan`, `plan` and `verify` print: how names were read, what is split, slices per volume.

A wrong reading of names puts slices of one volume into several splits, and no later number shows it. So two names with
their reading, and the slices per volume, come first. A warning about names is repeated at the end, beside the result.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from planbalance.group_sources import joins_of_plan, sources_document
from planbalance.model import EXTERNAL_RULES, Audit, PlanHeader, SlicesPerVolume
from planbalance.planfile import grouped_by
from planbalance.render.groups import reading_note
from planbalance.render.table import Renderable, count, item, line, term
from planbalance.text import texts_of

_SOURCES: Final = {
    "patient": ("the names", "show"),
    "map": ("the group map", "says"),
    "slice-map": ("the slice map", "says"),
    "dicom": ("the DICOM headers", "say"),
    "h5": ("the .h5 files", "say"),
}


def reading_document(
    naming: Mapping[str, Any] | None,
    slices: SlicesPerVolume | None,
    *,
    grouped_by: str,
    groups: int,
    sources: Sequence[Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Return the reading as JSON values.

    Args:
        naming: the rule, its pattern, two names as it reads them, warnings and notes.
        slices: per volume, of what the command looked at.
        grouped_by: where patients come from, as `Audit.grouped_by` and the plan's `parameters.groups.by`.
        groups: how many patients there are.
        sources: what each source of groups has joined; none where there is one. Verify does not know them (None).
    """
    return {
        "naming": None if naming is None else dict(naming),
        "unit": "volume" if grouped_by == "volume" else "patient",
        "grouped_by": grouped_by,
        "groups": groups,
        "slices_per_volume": None if slices is None else slices._asdict(),
        **({} if sources is None else {"group_sources": list(sources)}),
    }


def reading_of_audit(audit: Audit) -> dict[str, Any]:
    """Return the reading of an audit: slices as they are there."""
    return reading_document(audit.naming, audit.slices_per_volume, grouped_by=audit.grouped_by, groups=audit.groups)


def reading_of_header(header: PlanHeader) -> dict[str, Any]:
    """Return the reading of a plan, or of a dataset as it was found: slices before undersampling."""
    slices: Counter[str] = Counter()
    for volume in header.volumes:
        slices[volume.id] += volume.slices  # a dataset that leaks has a volume in two splits
    by = grouped_by(header)
    if by is None:
        by = "patient" if any(volume.group != volume.id for volume in header.volumes) else "volume"
    groups = len({volume.group for volume in header.volumes})
    return reading_document(
        header.naming,
        SlicesPerVolume.of(slices.values()),
        grouped_by=by,
        groups=groups,
        sources=sources_document(joins_of_plan(header.parameters)),
    )


def reading_text(document: Mapping[str, Any], *, when: str = "", warned: bool = True) -> Iterable[Renderable]:
    """Yield the reading for a person; `when` says at which moment the slices were counted.

    `warned`: with its warnings, where they are not printed among others.
    """
    naming = document["naming"]
    if naming is not None:
        yield line(("Names   ", "dim"), rule_text(naming))
        for example in texts_of(naming, "examples"):
            yield line("        ", example)
        for note in texts_of(naming, "notes"):
            yield term("", note)
        for warning in texts_of(naming, "warnings") if warned else ():
            yield item("    !", warning, style="yellow")
    yield term("Unit", unit_text(document))
    if document["slices_per_volume"] is not None:
        yield term("Volumes", slices_text(document, when=when))


def warnings_at_the_end(sentences: Iterable[str]) -> Iterable[Renderable]:
    """Yield the warnings that are printed beside the result."""
    return (item("!", sentence, style="yellow") for sentence in dict.fromkeys(sentences))


def rule_text(naming: Mapping[str, Any]) -> str:
    """Return by which rule names are read, or what gives the volumes instead."""
    if naming.get("rule") in EXTERNAL_RULES:
        told = "the slice map (--slice-map)" if naming["rule"] == "slice-map" else "the DICOM headers (--volume-from)"
        return f"not read: volumes are those of {told}"
    pattern = f" {naming['pattern']}" if naming.get("pattern") else ""
    return f"read by the rule {naming.get('rule')}{pattern}"


def unit_text(document: Mapping[str, Any]) -> str:
    """Return the unit that is never divided, and where patients come from."""
    if document["unit"] == "volume":
        joined = unit_noun(document) == "group"
        together = f"; volumes that {reading_note(document.get('group_sources', ()))} stay together" if joined else ""
        return f"volume (patients NOT checked: no --group-map){together}"
    source = _sources_text(document["grouped_by"])
    return f"patient{f', {source}' if source else ''}: {count(document['groups'])} in all"


def unit_noun(document: Mapping[str, Any]) -> str:
    """Return what is counted as one: `patient`; `volume`; or `group`, where volumes are joined by their images."""
    if document["unit"] != "volume":
        return "patient"
    slices = document["slices_per_volume"]
    return "group" if slices is not None and document["groups"] < slices["volumes"] else "volume"


def _sources_text(grouped_by: str) -> str:
    """Return where patients come from: `as the group map and the DICOM headers say`; `""` where that is not known."""
    told = [_SOURCES[one] for one in grouped_by.split("+") if one in _SOURCES]
    if not told:
        return ""
    *names, (last, verb) = told
    if not names:
        return f"as {last} {verb}"
    return f"as {', '.join(name for name, _ in names)} and {last} say"


def slices_text(document: Mapping[str, Any], *, when: str = "") -> str:
    """Return how many slices the volumes have."""
    found = document["slices_per_volume"]
    return (
        f"{count(found['volumes'])}; slices per volume: minimum {count(found['minimum'])}, "
        f"median {found['median']:,}, maximum {count(found['maximum'])}; "
        f"{count(found['single'])} with one slice{when}"
    )
