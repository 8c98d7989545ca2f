"""Read a plan edited by hand (`--allow-edited`): formatting and order are free, all other checks stay."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from planbalance.errors import PlanError
from planbalance.model import Folder, Operation, PlanHeader, PlannedVolume, Source
from planbalance.planfile.blocks import FIXED_MEMBERS, HASHES, BlockReader
from planbalance.planfile.counts import slice_counts, volume_counts
from planbalance.planfile.header import HEADER_MEMBERS, YAML_KEYS, check_schema, header_of, members_of, parse_header
from planbalance.planfile.json_values import damaged, hostile, list_of, malformed, object_of, shown
from planbalance.planfile.seal import SealedPlan, seal
from planbalance.planfile.whole_plan import WholePlan, word_of

EDITED_BYTES: Final = 1 << 30
_COMPUTED: Final = frozenset(("digest", "split_digest", "blocks"))
_EXPECTED: Final = tuple(name for name in HEADER_MEMBERS if name not in _COMPUTED)


def parse_edited(document: bytes) -> SealedPlan:
    """Return an edited plan as a sealed one, with digests of its own.

    Digest, block sums, order and formatting are not checked. The counts in the header (kept slices, statistics, volumes
    of each split) are computed again from the operations, so that a person who removes a line need not correct them.
    Schema, types, paths, duplicates and collisions are checked as in any plan.

    Raises:
        PlanError: `plan-damaged`, `plan-schema` or `plan-hostile`.
    """
    if len(document) > EDITED_BYTES:
        damaged(f"it is longer than {EDITED_BYTES} bytes")
    members = object_of(_loads_strictly(document), "the document")
    check_schema(members)
    rows = list_of(members.pop("operations", None), "operations")
    header = header_of(_in_order(members), _EXPECTED)
    if not rows:
        malformed("it has no operation")
    operations = BlockReader(header).operations([_line_in_order(row) for row in rows], 1)
    try:
        sealed = seal(_recounted(header, operations), operations)
    except ValueError as error:
        hostile(f"an image lies outside the image folders of its input: {error}")
    _check_sealed(sealed)
    return sealed


def _check_sealed(sealed: SealedPlan) -> None:
    """Check the sealed plan as `PlanFile` checks any plan."""
    parse_header(sealed.first_line)
    reader = BlockReader(sealed.header)
    whole = WholePlan(sealed.header)
    for block, data in zip(sealed.header.blocks, sealed.body, strict=True):
        whole.add(block.folder, reader.read(block, data))
    whole.finish()


def _loads_strictly(document: bytes) -> Any:  # noqa: ANN401 - JSON can be anything; the callers check
    """Return parsed JSON in which no object has a member twice (people and `jq` would see different ones)."""
    try:
        return json.loads(document.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except PlanError:
        raise
    except (ValueError, RecursionError, MemoryError) as error:
        damaged(f"it is not JSON ({shown(str(error))})")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        damaged("an object has a member twice")
    return members


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no number")


def _in_order(members: Mapping[str, Any]) -> dict[str, Any]:
    """Return the header's members in the order of the format, without those that are computed again."""
    unknown = set(members) - set(HEADER_MEMBERS) - {YAML_KEYS}
    if unknown:
        malformed(f"it has the unknown member {shown(min(unknown))}")
    ordered = {name: members[name] for name in members_of(_EXPECTED, members) if name in members}
    sources = [_ordered(each, Source._fields) for each in list_of(members.get("sources"), "sources")]
    for source in sources:
        if isinstance(source, dict) and isinstance(source.get("folders"), list):
            source["folders"] = [_ordered(folder, Folder._fields) for folder in source["folders"]]
    volumes = [_ordered(each, PlannedVolume._fields) for each in list_of(members.get("volumes"), "volumes")]
    return {**ordered, "sources": sources, "volumes": volumes}


def _ordered(value: object, names: Iterable[str]) -> object:
    """Return an object with its members in order; one with other members as it is, so that the checks refuse it."""
    if not isinstance(value, dict) or set(value) != set(names):
        return value
    return {name: value[name] for name in names}


def _line_in_order(row: object) -> object:
    hashes = [name for name in HASHES if isinstance(row, dict) and name in row]
    return _ordered(row, (*FIXED_MEMBERS, *hashes))


def _recounted(header: PlanHeader, operations: Sequence[Operation]) -> PlanHeader:
    """Return the header with the counts that the operations give."""
    kept = Counter(each.volume for each in operations)
    counts = Counter((each.split, each.positive) for each in operations)
    volumes = tuple(volume._replace(kept=kept[volume.id]) for volume in header.volumes)
    return header._replace(
        volumes=volumes,
        statistics={**header.statistics, **slice_counts(counts, word_of(header.statistics))},
        volume_statistics={**header.volume_statistics, **volume_counts(volumes)},
    )
