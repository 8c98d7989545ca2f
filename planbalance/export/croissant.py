"""Croissant 1.0 metadata of a dataset: its files, its splits, its volumes with the split of each, its slices.

Source: Croissant Format Specification, version 1.0 (MLCommons, http://mlcommons.org/croissant/1.0), with the context of
its appendix, and the record set of splits as its section "Splits" gives it.
"""

from collections.abc import Sequence
from typing import Any, Final

from planbalance.errors import InputError
from planbalance.export.formats import Exported, NamedSplit, json_text, placed
from planbalance.model import SPLITS, PlanHeader, Split
from planbalance.text import counted, some

MARK: Final = "Described by planbalance export."
_TO_SPLITS: Final = {"field": {"@id": "splits/name"}}
_NOTES: Final = (
    "The specification also requires license, url, creator and datePublished. A plan does not know them: add them.",
    "Readers look for the images below the folder of this file: put it at the root of what you publish.",
)
_CONTEXT: Final[dict[str, Any]] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_MEANINGS: Final = {"train": "cr:TrainingSplit", "val": "cr:ValidationSplit", "test": "cr:TestSplit"}
_MEDIA_TYPES: Final = {
    "bmp": "image/bmp",
    "dcm": "application/dicom",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "png": "image/png",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "webp": "image/webp",
}
_OTHER_TYPE: Final = "application/octet-stream"


def croissant_text(one: NamedSplit, *, name: str) -> Exported:
    """Return the metadata, to lie at the root of the dataset that is published.

    Args:
        one: the split.
        name: of the dataset.

    Raises:
        InputError: slices of a dataset that was found do not lie in `images/<split>/`, by which readers tell splits.
    """
    header = one.plan.header
    suffixes = _suffixes(one)
    filled = [split for split in SPLITS if any(volume.split == split for volume in header.volumes)]
    content = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": name,
        "description": _description(header, filled, as_found=one.as_found),
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "distribution": [_file_set(suffix, suffixes) for suffix in suffixes],
        "recordSet": [
            _splits(filled),
            _volumes(header, as_found=one.as_found),
            *(_slices(suffix, suffixes) for suffix in suffixes),
        ],
    }
    return Exported(json_text(content), _NOTES)


def _suffixes(one: NamedSplit) -> list[str]:
    """Return the suffixes of the images, as they are spelled."""
    suffixes = set()
    astray = []
    for operation, place in placed(one):
        suffixes.add(place.rpartition(".")[2])
        if not place.startswith(f"images/{operation.split}/"):
            astray.append(place)
    if astray:
        raise InputError(
            f"{counted(len(astray), 'slice does', 'slices do')} not lie in images/<split>/, by which readers of "
            f"Croissant would tell the splits: {some(astray, 3)}.",
            kind="export-layout",
            hint="Plan and apply the dataset first, and export that plan.",
        )
    return sorted(suffixes)


def _description(header: PlanHeader, filled: Sequence[Split], *, as_found: bool) -> str:
    digest = f" Digest of the split: {header.split_digest}." if header.split_digest else ""
    by = "another tool" if as_found else "planbalance"
    return f"Slices divided by {by} into {', '.join(filled)}: {counted(len(header.volumes), 'volume')}.{digest} {MARK}"


def _id(what: str, suffix: str, suffixes: Sequence[str]) -> str:
    return what if len(suffixes) == 1 else f"{what}-{suffix}"


def _file_set(suffix: str, suffixes: Sequence[str]) -> dict[str, Any]:
    name = _id("images", suffix, suffixes)
    return {
        "@type": "cr:FileSet",
        "@id": name,
        "name": name,
        "description": f"The images with the suffix {suffix}.",
        "encodingFormat": _MEDIA_TYPES.get(suffix.lower(), _OTHER_TYPE),
        "includes": f"images/**/*.{suffix}",
    }


def _field(owner: str, name: str, kind: str, about: str, **more: object) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"{owner}/{name}",
        "name": name,
        "description": about,
        "dataType": kind,
        **more,
    }


def _splits(filled: Sequence[Split]) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": "splits",
        "name": "splits",
        "description": "The splits, and what each is for.",
        "dataType": "cr:Split",
        "key": {"@id": "splits/name"},
        "field": [
            _field("splits", "name", "sc:Text", "Name of the split, and of its folder."),
            _field("splits", "url", "sc:URL", "What the split is for."),
        ],
        "data": [{"splits/name": split, "splits/url": _MEANINGS[split]} for split in filled],
    }


def _volumes(header: PlanHeader, *, as_found: bool) -> dict[str, Any]:
    disjoint = "" if as_found else " No group is in two splits."  # what another tool divided may leak
    counts = {
        "slices": "Slices in the dataset." if as_found else "Slices before undersampling.",
        "positives": "Positive slices.",
        "kept": "Slices in the dataset.",
    }
    return {
        "@type": "cr:RecordSet",
        "@id": "volumes",
        "name": "volumes",
        "description": f"Each volume with its group and its split.{disjoint}",
        "field": [
            _field("volumes", "volume", "sc:Text", "All slices of one scan."),
            _field("volumes", "group", "sc:Text", "What was kept together, such as a patient."),
            _field("volumes", "split", "sc:Text", "The split.", references=_TO_SPLITS),
            *(_field("volumes", name, "sc:Integer", about) for name, about in counts.items()),
        ],
        "data": [
            {
                "volumes/volume": volume.id,
                "volumes/group": volume.group,
                "volumes/split": volume.split,
                "volumes/slices": volume.slices,
                "volumes/positives": volume.positives,
                "volumes/kept": volume.kept,
            }
            for volume in header.volumes
        ],
    }


def _slices(suffix: str, suffixes: Sequence[str]) -> dict[str, Any]:
    """Return the record set of the images: the folder of an image tells its split."""
    owner, files = _id("slices", suffix, suffixes), {"@id": _id("images", suffix, suffixes)}
    return {
        "@type": "cr:RecordSet",
        "@id": owner,
        "name": owner,
        "description": "Each image with its split.",
        "field": [
            _field(owner, "image", "sc:ImageObject", "The image.", source=_source(files, "content")),
            _field(owner, "file", "sc:Text", "Its file name.", source=_source(files, "filename")),
            _field(
                owner,
                "split",
                "sc:Text",
                "Its split.",
                source=_source(files, "fullpath")
                | {"transform": {"regex": "^(?:(?:.*/)?images/)?(train|val|test)(?:/.*)?$"}},
                references=_TO_SPLITS,
            ),
        ],
    }


def _source(files: dict[str, str], what: str) -> dict[str, Any]:
    return {"fileSet": files, "extract": {"fileProperty": what}}
