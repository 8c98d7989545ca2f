"""Read and check the header, the first line of a plan file."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import orjson

from planbalance.destination import fold, id_fault, path_fault
from planbalance.errors import PlanError, UsageError
from planbalance.labels import KPT_SHAPE, keypoints_of
from planbalance.model import (
    DATA_KEYS,
    GUIDES_RULE,
    NO_KEYS,
    SPLITS,
    YAML_DEPTH,
    Block,
    Folder,
    Naming,
    PlanHeader,
    PlannedVolume,
    Source,
    Split,
)
from planbalance.path_relation import all_guarded, is_within, relation
from planbalance.planfile.counts import volume_counts
from planbalance.planfile.json_values import (
    EDITED_HINT,
    count_of,
    damaged,
    exact_members,
    hostile,
    list_of,
    loads,
    malformed,
    object_of,
    one_of,
    plain_json,
    same,
    sha256,
    shown,
    text_of,
)
from planbalance.runlength import decode, may_be_runs
from planbalance.text import has_control

if TYPE_CHECKING:
    from planbalance.naming import Names
    from planbalance.slicemap import Place, VolumeSource

# Where `parameters.groups.by` may say that patients come from.
_PATIENT_SOURCES: Final = frozenset(("map", "patient", "slice-map", "dicom", "h5"))
SCHEMA: Final = "planbalance/plan/1"
IMPORT_SCHEMA: Final = "planbalance/import/1"
BLOCK_OPERATIONS: Final = 4096
# Bounds on what is read into memory at once. The guide's 550 volumes need 0.1 MB of header; a line, 350 bytes.
HEADER_BYTES: Final = 64 << 20
BLOCK_BYTES: Final = 64 << 20
OPENING: Final = b',"operations":['
HEADER_MEMBERS: Final = ("schema", *(name for name in PlanHeader._fields if name != "yaml_keys"))
YAML_KEYS: Final = "yaml_keys"  # a member behind `names` of plans that have any
_YAML_BYTES: Final = 4 << 20
_DIGEST_MEMBER: Final = re.compile(rb'\{"schema":"[^"\\]*",("digest":"[0-9a-f]{64}",)')


def parse_header(first_line: bytes) -> PlanHeader:
    """Return the header of a plan file's first line, digest and rules checked.

    Checked here: bytes (one formatting only), digest, types, that output and inputs are absolute and disjoint, ids and
    folders, that the blocks follow each other without a gap, and that statistics, volumes and blocks agree in their
    counts. What needs the operations is checked by `BlockReader` (one block) and `WholePlan` (all of them together).

    Raises:
        PlanError: `plan-damaged`, `plan-schema` or `plan-hostile`.
    """
    members, data = members_of_line(first_line, SCHEMA)
    header = header_of(members, HEADER_MEMBERS)
    check_formatting(members, data)
    return header


def members_of_line(first_line: bytes, schema: str) -> tuple[dict[str, Any], bytes]:
    """Return the members of a plan's first line, schema and digest checked, and its JSON.

    Raises:
        PlanError: `plan-damaged` or `plan-schema`.
    """
    if len(first_line) > HEADER_BYTES:
        damaged(f"its first line is longer than {HEADER_BYTES} bytes")
    ending = OPENING + b"\n"
    if not first_line.endswith(ending):
        damaged('its first line does not end in `"operations":[`', "It may have been cut off: make it again.")
    data = first_line[: -len(ending)] + b"}"
    members = object_of(loads(data), "The header")
    check_schema(members, schema)
    found = _DIGEST_MEMBER.match(data)
    if found is None:
        damaged("its first line does not begin with schema and digest")
    if header_digest(data[: found.start(1)] + data[found.end(1) :]) != members["digest"]:
        damaged("its header does not match its digest", EDITED_HINT)
    return members, data


def check_formatting(members: Mapping[str, Any], data: bytes) -> None:
    """Refuse a header that is spelled in another way; its members must have been checked before. Raises PlanError."""
    if orjson.dumps(members) != data:
        damaged("its header is not formatted as planbalance writes it", EDITED_HINT)


def header_digest(json_without_digest: bytes) -> str:
    """Return the plan's digest: SHA-256 of the header's JSON object without its digest."""
    return hashlib.sha256(json_without_digest).hexdigest()


def check_schema(members: Mapping[str, Any], expected: str = SCHEMA) -> None:
    """Refuse what is no plan, and a plan of another version or kind."""
    schema = members.get("schema")
    if not isinstance(schema, str):
        malformed("it has no schema, so it is no plan")
    if schema == IMPORT_SCHEMA != expected:
        raise PlanError(
            f"The plan is that of an import ({IMPORT_SCHEMA}), and this command is for the plan of a split.",
            kind="plan-schema",
            hint="`planbalance show` and `planbalance apply` take it.",
        )
    if schema != expected:
        raise PlanError(
            f"The plan's schema is {shown(schema)}, and this version reads {expected!r} only.",
            kind="plan-schema",
            hint="Use the version of planbalance that made it, or make the plan again.",
        )


def members_of(expected: Sequence[str], members: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the members that a header has to have, in their order: `yaml_keys` only where it is one of them."""
    if YAML_KEYS not in members:
        return tuple(expected)
    place = expected.index("names") + 1
    return (*expected[:place], YAML_KEYS, *expected[place:])


def header_of(members: dict[str, Any], expected: Sequence[str]) -> PlanHeader:
    """Return the header of checked members. An edited plan has neither digests nor blocks yet."""
    if tuple(members) != members_of(expected, members):
        malformed(f"its header does not have the members {', '.join(expected)}, in this order")
    for name in ("parameters", "naming", "statistics", "volume_statistics", "targets"):
        plain_json(object_of(members[name], name), name)
    header = PlanHeader(
        digest=sha256(members["digest"], "the digest") if "digest" in members else "",
        split_digest=sha256(members["split_digest"], "the split digest") if "split_digest" in members else "",
        inputs=tuple(absolute_path(root, "an input") for root in list_of(members["inputs"], "inputs")),
        sources=tuple(map(_source, list_of(members["sources"], "sources"))),
        output=absolute_path(members["output"], "the output"),
        names=_names(members["names"]),
        parameters=members["parameters"],
        naming=members["naming"],
        statistics=members["statistics"],
        volume_statistics=members["volume_statistics"],
        targets=members["targets"],
        warnings=tuple(text_of(warning, "a warning") for warning in list_of(members["warnings"], "warnings")),
        volumes=tuple(map(_volume, list_of(members["volumes"], "volumes"))),
        blocks=tuple(map(_block, list_of(members.get("blocks", []), "blocks"))),
        yaml_keys=_yaml_keys(members[YAML_KEYS]) if YAML_KEYS in members else NO_KEYS,
    )
    _check_places(header)
    _check_options(header)
    _check_volumes(header.volumes)
    if "blocks" in members:
        check_blocks(header.blocks)
        _check_full(header.blocks)
        _check_counts(header)
    return header


def id_prefixes(header: PlanHeader) -> list[str]:
    """Return for each input of a plan the prefix of its volume ids; `""` where ids have none.

    Plans of version 0.1.0 have no `shared_ids`: there, all ids of an input have its prefix.
    """
    prefixed = header.parameters.get("shared_ids", "different") == "different"
    return [source.prefix if prefixed else "" for source in header.sources]


def grouped_by(header: PlanHeader) -> str | None:
    """Return where the groups of a plan come from (`parameters.groups.by`), None where the plan does not say."""
    groups = header.parameters.get("groups")
    by = groups.get("by") if isinstance(groups, dict) else None
    return by if isinstance(by, str) else None


def knows_patients(by: str | None) -> bool:
    """Return whether `grouped_by` names where patients come from: one source, or several with `+` between."""
    return by is not None and _PATIENT_SOURCES.issuperset(by.split("+"))


def naming_document(
    naming: Naming, paths: Sequence[str], warnings: Iterable[str] = (), notes: Iterable[str] = ()
) -> dict[str, Any]:
    """Return how names are read, for the header and for JSON output: the rule, and two names as it reads them.

    Args:
        naming: the rule.
        paths: image paths below their folders, two of which are the examples.
        warnings: sentences on what the names do not decide; no member where there are none, as for notes.
        notes: sentences on other readings that the user may want.
    """
    from planbalance.naming import format_examples  # noqa: PLC0415 - a header that is only read needs no rule

    said = {"warnings": list(warnings), "notes": list(notes)}
    return {
        "rule": naming.rule,
        "pattern": naming.pattern,
        "examples": list(format_examples(naming, paths)),
        **{key: sentences for key, sentences in said.items() if sentences},
    }


def source_document(naming: Naming, examples: Iterable[str], warnings: Iterable[str] = ()) -> dict[str, Any]:
    """Return the same as `naming_document` where a table or DICOM headers give the volumes (`EXTERNAL_RULES`)."""
    return {
        "rule": naming.rule,
        "pattern": None,
        "examples": list(examples),
        **({"warnings": list(warnings)} if warnings else {}),
    }


def read_source(source: "VolumeSource", places: "Sequence[Place]") -> tuple["Names", dict[str, Any]]:
    """Return what a table or DICOM headers say of images, and how they were read, as `source_document` does.

    Raises:
        InputError: as `VolumeSource.read` does.
    """
    from planbalance.slicemap import examples  # noqa: PLC0415 - a header that is only read needs no source

    names, warnings = source.read(places)
    return names, source_document(Naming(source.rule), examples(places, names), warnings)


def absolute_path(value: object, what: str) -> str:
    """Return an absolute path of a plan, without `..` and control characters."""
    path = text_of(value, what)
    fault = "is not absolute" if not path.startswith("/") else None if path == "/" else path_fault(path[1:])
    if fault:
        hostile(f"{what}, {shown(path)}, {fault}")
    return path


def _names(value: object) -> tuple[str, ...] | None:
    return None if value is None else tuple(text_of(name, "a class name") for name in list_of(value, "names"))


def _yaml_keys(value: object) -> dict[str, Any]:
    """Return what is carried over into dataset.yaml: no key that names data, and nothing large or deep."""
    keys = object_of(value, YAML_KEYS)
    if not keys:
        malformed(f"`{YAML_KEYS}` is empty")
    for key, item in keys.items():
        text_of(key, f"a key of `{YAML_KEYS}`")
        if key in DATA_KEYS:
            hostile(f"`{YAML_KEYS}` holds {shown(key)}, which names data")
        _check_carried(item, 1)
    if len(orjson.dumps(keys)) > _YAML_BYTES:
        malformed(f"`{YAML_KEYS}` has more than {_YAML_BYTES:,} bytes")
    try:
        keypoints_of(keys.get(KPT_SHAPE))
    except ValueError:
        malformed(f"`{KPT_SHAPE}` is not [K, 2] or [K, 3]")
    return keys


def _check_carried(value: object, depth: int) -> None:
    if depth > YAML_DEPTH:
        malformed(f"`{YAML_KEYS}` is nested deeper than {YAML_DEPTH}")
    if isinstance(value, str):
        if has_control(value):
            hostile(f"`{YAML_KEYS}` holds a control character: {shown(value)}")
    elif isinstance(value, list):
        for item in value:
            _check_carried(item, depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            text_of(key, f"a key of `{YAML_KEYS}`")
            _check_carried(item, depth + 1)
    else:
        plain_json(value, f"`{YAML_KEYS}`")


def _source(value: object) -> Source:
    members = exact_members(value, Source._fields, "a source")
    prefix = text_of(members["prefix"], "a prefix")
    if prefix and (not prefix.endswith("-") or "/" in prefix or path_fault(prefix)):
        hostile(f"the prefix {shown(prefix)} is no `NAME-`")
    folders = tuple(map(_folder, list_of(members["folders"], "a source's folders")))
    if not folders:
        malformed("a source has no image folder")
    guarded = tuple(_below_root(path, "a guarded folder") for path in list_of(members["guarded"], "guarded folders"))
    for path in (path for folder in folders for path in (folder.images, folder.labels)):
        if not any(not place or is_within(path, place) for place in guarded):
            hostile(f"the folder {shown(path)} is not among those that nothing is written to")
    return Source(prefix, folders, guarded)


def _folder(value: object) -> Folder:
    members = exact_members(value, ("images", "labels", "split"), "an image folder")
    images, labels = (_below_root(members[name], f"the {name} folder") for name in ("images", "labels"))
    return Folder(images, labels, one_of(members["split"], (*SPLITS, None), "a folder's split"))


def _below_root(value: object, what: str) -> str:
    """Return a path relative to an input's root; `""` is the root itself."""
    path = text_of(value, what)
    fault = path_fault(path) if path else None
    if fault:
        hostile(f"{what} {shown(path)} {fault}")
    return path


def _volume(value: object) -> PlannedVolume:
    members = exact_members(value, PlannedVolume._fields, "a volume")
    volume = PlannedVolume._make(members.values())
    name = text_of(volume.id, "a volume's id")
    fault = id_fault(name)
    if fault:
        hostile(f"the volume id {shown(name)} {fault}")
    text_of(volume.group, "a volume's group")
    one_of(volume.split, SPLITS, "a volume's split")
    slices = count_of(volume.slices, "`slices` of a volume")
    positives = count_of(volume.positives, "`positives` of a volume")
    kept = count_of(volume.kept, "`kept` of a volume")
    if positives > slices or kept > slices:
        malformed(f"the volume {shown(name)} has more positive or kept slices than slices")
    for key in ("dropped", "missing"):
        if not isinstance(members[key], str) or not may_be_runs(members[key]):
            malformed(f"`{key}` of the volume {shown(name)} is no run-length text")
    return volume


def _block(value: object) -> Block:
    members = exact_members(value, Block._fields, "a block")
    folder = text_of(members["folder"], "a block's folder")
    top, split, below = (*folder.split("/", 2), "", "")[:3]
    if top != "images" or split not in SPLITS or (folder.count("/") > 1 and id_fault(below)):
        hostile(f"the block folder {shown(folder)} is none that a slice can go to")
    for name in ("count", "offset", "bytes"):
        count_of(members[name], f"`{name}` of a block")
    sha256(members["sha256"], "a block's sum")
    return Block(**members)


def _check_places(header: PlanHeader) -> None:
    if not header.inputs or len(header.inputs) != len(header.sources):
        malformed("it does not have one source for each input, and at least one")
    for place in all_guarded(header.inputs, header.sources):
        if relation(header.output, place) is not None:
            hostile(f"the output {shown(header.output)} and the input {shown(place)} are not apart")


def _check_options(header: PlanHeader) -> None:
    one_of(header.parameters.get("layout"), ("keep", "by-volume"), "the layout")
    naming = header.naming
    rule = naming.get("rule")
    if rule != GUIDES_RULE:
        from planbalance.naming import RULES, compile_pattern  # noqa: PLC0415 - plans of the guide's names need no other

        one_of(rule, tuple(RULES), "the naming rule")
    if not isinstance(naming.get("pattern"), str if rule == "regex" else str | None):
        malformed("the naming rule's pattern is not a string")
    if rule == "regex":
        try:
            compile_pattern(naming["pattern"])
        except UsageError as error:
            hostile(f"its naming rule's pattern is none: {shown(error.message)}")
    for key in ("examples", "warnings", "notes"):
        for sentence in list_of(naming.get(key, []), f"the naming rule's {key}"):
            text_of(sentence, f"one of the naming rule's {key}")
    _check_slice_numbers(header)


def _check_slice_numbers(header: PlanHeader) -> None:
    """Check the slice numbers that a plan holds where names do not give them: no more than kept slices.

    Each volume has two run-length texts: the numbers of its kept positives, then of its kept negatives.
    """
    given = header.naming.get("numbers")
    if given is None:
        return
    kept = {volume.id: volume.kept for volume in header.volumes}
    for volume, numbers in object_of(given, "the numbers of slices").items():
        runs = list_of(numbers, "the numbers of a volume's slices")
        if volume not in kept or len(runs) != 2:
            malformed(f"the numbers of slices of {shown(volume)} are not those of a volume's positives and negatives")
        room = kept[volume]
        for text in runs:
            if not isinstance(text, str):
                malformed(f"the numbers of slices of {shown(volume)} are no run-length text")
            try:
                room -= len(decode(text, limit=room))
            except ValueError:
                malformed(f"the numbers of slices of {shown(volume)} are not those of {kept[volume]} slices")


def _check_volumes(volumes: Sequence[PlannedVolume]) -> None:
    ids = [volume.id for volume in volumes]
    if len(set(map(fold, ids))) != len(ids):
        counts = Counter(map(fold, ids))
        alike = sorted({name for name in ids if counts[fold(name)] > 1})
        hostile(f"volume ids are equal, or differ in case or Unicode form only: {', '.join(map(shown, alike[:4]))}")


def check_blocks(blocks: Sequence[Block], most: int = BLOCK_OPERATIONS) -> None:
    """Check that the blocks are sorted and follow each other without a gap, each of at most `most` operations."""
    if not blocks:
        malformed("it has no operation")
    offset = 0
    previous: Block | None = None
    for block in blocks:
        if block.offset != offset or not 0 < block.bytes <= BLOCK_BYTES or not 0 < block.count <= most:
            malformed(f"the block at {block.offset} does not follow the one before it, is empty, or is too large")
        if previous and block.folder < previous.folder:
            malformed(f"the block at {block.offset} is out of order")
        offset += block.bytes
        previous = block


def _check_full(blocks: Sequence[Block]) -> None:
    """Check that the blocks are cut as `seal` cuts them: full unless the folder ends."""
    for block, following in pairwise(blocks):
        if block.folder == following.folder and block.count < BLOCK_OPERATIONS:
            malformed(f"the block at {following.offset} is out of order")


def _check_counts(header: PlanHeader) -> None:
    """Check that statistics, volumes and blocks agree; `WholePlan` checks them against the operations."""
    in_blocks = dict.fromkeys(SPLITS, 0)
    for block in header.blocks:
        in_blocks[split_of(block)] += block.count
    in_volumes = dict.fromkeys(SPLITS, 0)
    for volume in header.volumes:
        in_volumes[volume.split] += volume.kept
    splits = object_of(header.statistics.get("splits"), "`statistics.splits`")
    for split in SPLITS:
        counted = object_of(splits.get(split), f"`statistics.splits.{split}`")
        total, positive, negative = (
            count_of(counted.get(key), f"`statistics.splits.{split}.{key}`")
            for key in ("total", "positive", "negative")
        )
        if positive + negative != total:
            malformed(f"`statistics.splits.{split}` does not add up")
        if not in_blocks[split] == in_volumes[split] == total:
            malformed(f"blocks, volumes and statistics do not agree on how many slices {split} holds")
    expected = volume_counts(header.volumes)
    if any(not same(header.volume_statistics.get(key), value) for key, value in expected.items()):
        malformed("volumes and volume_statistics do not agree")


def split_of(block: Block) -> Split:
    """Return the split that a block's folder belongs to."""
    split: Any = block.folder.split("/", 2)[1]  # one of SPLITS: `_block` checked it
    return split  # type: ignore[no-any-return]
