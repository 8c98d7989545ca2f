"""Results of shards as bytes, kept in the dataset's own `.planbalance/audit/` until `verify --finish` reads them.

Nothing is ever written beside a dataset, so the results lie in it, in the tool's own folder, and are removed when the
audit is finished. A result counts only for the plan and the options that it was made for, and only if it is complete.
"""

import base64
import os
import shlex
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import orjson

from planbalance import fs
from planbalance.audit.options import VerifyOptions
from planbalance.audit.partial_result import Newest, PartialResult
from planbalance.audit.planned_dataset import PlannedDataset
from planbalance.audit.slice_statistics import ImageHashes, SliceRecord, SliceStatistics
from planbalance.audit.trainer_loading import Loads
from planbalance.dataset_files import OWN_FOLDER
from planbalance.errors import IncompleteError
from planbalance.fingerprint import Fingerprint, FingerprintResult
from planbalance.model import Overshoot, Problem
from planbalance.shards import RULE, Shard, cut
from planbalance.text import error_text

_SCHEMA: Final = "planbalance/audit-part/3"
FOLDER: Final = "audit"
_ENDED: Final = b'{"end":true}'


def bound_to(dataset: PlannedDataset, options: VerifyOptions) -> dict[str, Any]:
    """Return what must be the same where a part was made, for the part to count in this audit."""
    return {
        "schema": _SCHEMA,
        "rule": RULE,
        "digest": dataset.header.digest,
        "quick": options.quick,
        "labels_by_content": options.labels_by_content,
        "near_duplicates": options.near_duplicates,
        "volume_pattern": options.volume_pattern,
        "inputs_not_here": [*dataset.absent_inputs()],
    }


# ---- as bytes -----------------------------------------------------------------------------------------------------


def packed(bound: Mapping[str, Any], shard: Shard, batches: Iterable[PartialResult]) -> bytes:
    """Return a part: its first line, then the batches, compressed."""
    packer = zlib.compressobj(1)
    parts = [orjson.dumps({**bound, "shard": [*shard]}), b"\n"]
    parts += [packer.compress(_line(judged)) for judged in batches]
    return b"".join((*parts, packer.compress(_ENDED), packer.flush()))


def _line(judged: PartialResult) -> bytes:
    statistics = judged.statistics
    value = {
        "found": [[name, *problem] for name, problem in judged.found],
        "names": judged.names,
        "folders": judged.folders,
        "in_manifest": judged.in_manifest,
        "size": judged.size,
        "loads": [[*key, count] for key, count in judged.loads.items()],
        "newest": [[*key, *time] for key, time in judged.newest.items()],
        "overshoot": judged.overshoot and [*judged.overshoot],
        "totals": statistics.totals,
        "positives": statistics.positives,
        "unnamed": statistics.unnamed,
        "named": statistics.named,
        "suffixes": statistics.suffixes,
        "pictures": [
            [*record[:4], record.digest.hex(), record.flat, _texts(record.picture)] for record in statistics.pictures
        ],
        "contents": [[_text(one.digests), one.paths, one.volumes] for one in statistics.contents],
        "flat": sorted(digest.hex() for digest in statistics.flat),
    }
    return orjson.dumps(value) + b"\n"


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def unpacked(data: bytes, bound: Mapping[str, Any], shard: Shard) -> list[PartialResult] | None:
    """Return the batches of a part; None where it is not whole, or was made for something else."""
    first, _, rest = data.partition(b"\n")
    try:
        if orjson.loads(first) != {**bound, "shard": [*shard]}:
            return None
        *lines, last = zlib.decompress(rest).split(b"\n")
        return [_judged(orjson.loads(line)) for line in lines] if last == _ENDED else None
    except (zlib.error, orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None


def _judged(value: Mapping[str, Any]) -> PartialResult:
    found = [(name, Problem(*fields)) for name, *fields in value["found"]]
    statistics = SliceStatistics(
        totals=Counter(value["totals"]),
        positives=Counter(value["positives"]),
        unnamed=value["unnamed"],
        named={split: Counter(volumes) for split, volumes in value["named"].items()},
        suffixes=Counter(value["suffixes"]),
        pictures=[_record(fields) for fields in value["pictures"]],
        contents=[ImageHashes(base64.b64decode(digests), *rest) for digests, *rest in value["contents"]],
        flat=set(map(bytes.fromhex, value["flat"])),
    )
    loads: Loads = Counter({(trainer, split, what): count for trainer, split, what, count in value["loads"]})
    newest: Newest = {(split, folder): (mtime_ns, path) for split, folder, mtime_ns, path in value["newest"]}
    overshoot = value["overshoot"] and Overshoot(*value["overshoot"])
    names, folders, in_manifest, size = (value[name] for name in ("names", "folders", "in_manifest", "size"))
    return PartialResult(found, statistics, names, folders, in_manifest, size, loads, newest, overshoot)


def _record(fields: Sequence[Any]) -> SliceRecord:
    *first, digest, flat, texts = fields
    return SliceRecord._make((*first, bytes.fromhex(digest), flat, _picture(texts)))


def _texts(picture: FingerprintResult | None) -> list[Any] | None:
    if picture is None:
        return None
    if picture.fingerprint is None:
        return [picture.reason]
    pixels, blank, detail, *rest = picture.fingerprint
    return [picture.reason, pixels.hex(), blank, _text(detail), *rest]


def _picture(texts: Sequence[Any] | None) -> FingerprintResult | None:
    if texts is None:
        return None
    reason, *fields = texts
    if not fields:
        return FingerprintResult(None, reason)
    pixels, blank, detail, *rest = fields
    return FingerprintResult(Fingerprint(bytes.fromhex(pixels), blank, base64.b64decode(detail), *rest), reason)


# ---- on disk ------------------------------------------------------------------------------------------------------


def save(dataset: PlannedDataset, shard: Shard, part: bytes) -> None:
    """Keep a part in the dataset's own folder; a shard that runs again replaces it. Raises IncompleteError."""
    try:
        tree = fs.Tree(dataset.root)
        own = -1
        try:
            own = tree.folder(f"{OWN_FOLDER}/{FOLDER}", make=True)
            fs.write_among_others(_name(shard), own, (part,))
        finally:
            if own >= 0:
                fs.close(own)
            tree.close()
    except OSError as error:
        raise IncompleteError(
            f"What shard {shard} found cannot be kept in {dataset.root}/{OWN_FOLDER}/{FOLDER}: {error_text(error)}",
            kind="part-not-kept",
            hint="ask for write access there, or use --executor dask, which writes nothing there",
            paths=[dataset.root],
        ) from None


def load(dataset: PlannedDataset, options: VerifyOptions) -> Iterator[PartialResult]:
    """Yield the batches of all parts. Raises IncompleteError where some are missing, before the first is given."""
    bound = bound_to(dataset, options)
    folder = f"{dataset.root}/{OWN_FOLDER}/{FOLDER}"
    total = _total(folder)
    if not total:
        raise IncompleteError(
            f"No shard of the audit of {dataset.root} was made, as far as this node sees",
            kind="shards-missing",
            hint=f"begin with a shard, such as: {_command(dataset, options, Shard(1, 8))}",
            paths=[folder],
        )
    shards = [Shard(number, total) for number, run in enumerate(cut(dataset.header.blocks, total), start=1) if run]
    missing = [shard for shard in shards if not _is_whole(folder, bound, shard)]
    if missing:
        raise IncompleteError(
            f"{len(missing)} of {total} shards of the audit are missing, or were made with other options, or where "
            "other inputs are seen than here",
            kind="shards-missing",
            hint="\n".join(["run", *(_command(dataset, options, shard) for shard in missing), "then --finish again"]),
            paths=[folder],
        )
    return (judged for shard in shards for judged in unpacked(_read(folder, shard), bound, shard) or ())


def remove(dataset: PlannedDataset) -> None:
    """Remove the parts after they were merged; a part that cannot be removed does no harm."""
    with suppress(OSError):
        tree = fs.Tree(dataset.root)
        try:
            own = tree.folder(OWN_FOLDER)
            try:
                fs.remove_tree(own, FOLDER)
            finally:
                fs.close(own)
        finally:
            tree.close()


def _is_whole(folder: str, bound: Mapping[str, Any], shard: Shard) -> bool:
    return unpacked(_read(folder, shard), bound, shard) is not None


def _read(folder: str, shard: Shard) -> bytes:
    try:
        return b"".join(fs.chunks_of(f"{folder}/{_name(shard)}"))
    except OSError:
        return b""


def _name(shard: Shard) -> str:
    return f"part-{shard.number}-of-{shard.total}"


def _total(folder: str) -> int:
    """Return into how many shards the audit was cut; of several counts, the one whose parts are most complete."""
    try:
        names = os.listdir(folder)
    except OSError:
        return 0
    totals = [name.rpartition("-of-")[2] for name in names if name.startswith("part-")]
    counts = {int(total): totals.count(total) for total in totals if total.isascii() and total.isdigit()}
    return max(counts, key=lambda total: (counts[total] / total, total), default=0)


def _command(dataset: PlannedDataset, options: VerifyOptions, shard: Shard) -> str:
    words: Sequence[str] = ["planbalance", "verify", dataset.root]
    given = [("--plan", options.plan), ("--volume-pattern", options.volume_pattern)]
    more = [word for name, value in given if value is not None for word in (name, value)]
    flags = [("--quick", options.quick), ("--near-duplicates", options.near_duplicates)]
    return shlex.join([*words, *more, *(name for name, value in flags if value), "--shard", str(shard)])
