"""What many nodes have judged: parts of an audit as bytes, kept in the data set's `.planbalance/` until it is finished.

Nothing is ever made beside a data set, so the parts lie within it, in the tool's own folder, and go when the audit is
put together. A part is bound to the plan and to what was asked; one that is not whole does not count.
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
from planbalance.audit.caches import Newest
from planbalance.audit.documents import OWN_FOLDER
from planbalance.audit.gathered import Gathered
from planbalance.audit.loading import Loads
from planbalance.audit.options import VerifyOptions
from planbalance.audit.picture import Impression, Picture
from planbalance.audit.subject import Subject
from planbalance.audit.tally import Contents, Seen, Tally
from planbalance.errors import IncompleteError
from planbalance.model import Overshoot, Problem
from planbalance.shards import RULE, Shard, cut

_SCHEMA: Final = "planbalance/audit-part/3"
FOLDER: Final = "audit"
_ENDED: Final = b'{"end":true}'


def bound_to(subject: Subject, options: VerifyOptions) -> dict[str, Any]:
    """Return what a part must have been made for to count in this audit."""
    return {
        "schema": _SCHEMA,
        "rule": RULE,
        "digest": subject.header.digest,
        "quick": options.quick,
        "labels_by_content": options.labels_by_content,
        "near_duplicates": options.near_duplicates,
        "volume_pattern": options.volume_pattern,
        "inputs_not_here": [root for root in subject.inputs if not os.path.isdir(root or "/")],
    }


# ---- as bytes -----------------------------------------------------------------------------------------------------


def packed(bound: Mapping[str, Any], shard: Shard, batches: Iterable[Gathered]) -> bytes:
    """Return a part: its first line, then the batches, compressed."""
    packer = zlib.compressobj(1)
    parts = [orjson.dumps({**bound, "shard": [*shard]}), b"\n"]
    parts += [packer.compress(_line(judged)) for judged in batches]
    return b"".join((*parts, packer.compress(_ENDED), packer.flush()))


def _line(judged: Gathered) -> bytes:
    tally = judged.tally
    value = {
        "found": [[name, *_fields(problem)] for name, problem in judged.found],
        "names": judged.names,
        "folders": judged.folders,
        "in_manifest": judged.in_manifest,
        "size": judged.size,
        "loads": [[*key, count] for key, count in judged.loads.items()],
        "newest": [[*key, *time] for key, time in judged.newest.items()],
        "overshoot": judged.overshoot and [*judged.overshoot],
        "totals": tally.totals,
        "positives": tally.positives,
        "unnamed": tally.unnamed,
        "named": tally.named,
        "suffixes": tally.suffixes,
        "pictures": [[*seen[:4], seen.digest.hex(), seen.flat, _texts(seen.picture)] for seen in tally.pictures],
        "contents": [[_text(one.digests), one.paths, one.volumes] for one in tally.contents],
        "flat": sorted(digest.hex() for digest in tally.flat),
    }
    return orjson.dumps(value) + b"\n"


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _fields(problem: Problem) -> tuple[str, str, str, str]:
    return problem.kind, problem.severity, problem.path, problem.message


def unpacked(data: bytes, bound: Mapping[str, Any], shard: Shard) -> list[Gathered] | None:
    """Return the batches of a part; None where it is not whole, or was made for something else."""
    first, _, rest = data.partition(b"\n")
    try:
        if orjson.loads(first) != {**bound, "shard": [*shard]}:
            return None
        *lines, last = zlib.decompress(rest).split(b"\n")
        return [_judged(orjson.loads(line)) for line in lines] if last == _ENDED else None
    except (zlib.error, orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None


def _judged(value: Mapping[str, Any]) -> Gathered:
    found = [(name, Problem(*fields)) for name, *fields in value["found"]]
    tally = Tally(
        totals=Counter(value["totals"]),
        positives=Counter(value["positives"]),
        unnamed=value["unnamed"],
        named={split: Counter(volumes) for split, volumes in value["named"].items()},
        suffixes=Counter(value["suffixes"]),
        pictures=[_seen(fields) for fields in value["pictures"]],
        contents=[Contents(base64.b64decode(digests), *rest) for digests, *rest in value["contents"]],
        flat=set(map(bytes.fromhex, value["flat"])),
    )
    loads: Loads = Counter({(trainer, split, what): count for trainer, split, what, count in value["loads"]})
    newest: Newest = {(split, folder): (mtime_ns, path) for split, folder, mtime_ns, path in value["newest"]}
    overshoot = value["overshoot"] and Overshoot(*value["overshoot"])
    names, folders, in_manifest, size = (value[name] for name in ("names", "folders", "in_manifest", "size"))
    return Gathered(found, tally, names, folders, in_manifest, size, loads, newest, overshoot)


def _seen(fields: Sequence[Any]) -> Seen:
    *first, digest, flat, texts = fields
    return Seen._make((*first, bytes.fromhex(digest), flat, _picture(texts)))


def _texts(picture: Picture | None) -> list[Any] | None:
    if picture is None:
        return None
    if picture.impression is None:
        return [picture.reason]
    pixels, blank, detail, *rest = picture.impression
    return [picture.reason, pixels.hex(), blank, _text(detail), *rest]


def _picture(texts: Sequence[Any] | None) -> Picture | None:
    if texts is None:
        return None
    reason, *fields = texts
    if not fields:
        return Picture(None, reason)
    pixels, blank, detail, *rest = fields
    return Picture(Impression(bytes.fromhex(pixels), blank, base64.b64decode(detail), *rest), reason)


# ---- on disk ------------------------------------------------------------------------------------------------------


def save(subject: Subject, shard: Shard, part: bytes) -> None:
    """Keep a part in the data set's own folder; one that ran twice replaces itself. Raises IncompleteError."""
    try:
        tree = fs.Tree(subject.root)
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
            f"What shard {shard} found cannot be kept in {subject.root}/{OWN_FOLDER}/{FOLDER}: {error.strerror}",
            kind="part-not-kept",
            hint="ask for write access there, or use --executor dask, which needs no place",
            paths=[subject.root],
        ) from None


def load(subject: Subject, options: VerifyOptions) -> Iterator[Gathered]:
    """Yield the batches of all parts. Raises IncompleteError where some are missing, before the first is given."""
    bound = bound_to(subject, options)
    folder = f"{subject.root}/{OWN_FOLDER}/{FOLDER}"
    total = _total(folder)
    if not total:
        raise IncompleteError(
            f"No shard of the audit of {subject.root} was made, as far as this node sees",
            kind="shards-missing",
            hint=f"begin with a shard, such as: {_command(subject, options, Shard(1, 8))}",
            paths=[folder],
        )
    shards = [Shard(number, total) for number, run in enumerate(cut(subject.header.blocks, total), start=1) if run]
    missing = [shard for shard in shards if not _is_whole(folder, bound, shard)]
    if missing:
        raise IncompleteError(
            f"{len(missing)} of {total} shards of the audit are missing, or were made with other options, or where "
            "other inputs are seen than here",
            kind="shards-missing",
            hint="\n".join(["run", *(_command(subject, options, shard) for shard in missing), "then --finish again"]),
            paths=[folder],
        )
    return (judged for shard in shards for judged in unpacked(_read(folder, shard), bound, shard) or ())


def remove(subject: Subject) -> None:
    """Take the parts away, once they were put together; what cannot be removed is harmless."""
    with suppress(OSError):
        tree = fs.Tree(subject.root)
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
    """Return into how many shards the audit was cut: of several counts, the one that is nearest to its end."""
    try:
        names = os.listdir(folder)
    except OSError:
        return 0
    totals = [name.rpartition("-of-")[2] for name in names if name.startswith("part-")]
    counts = {int(total): totals.count(total) for total in totals if total.isascii() and total.isdigit()}
    return max(counts, key=lambda total: (counts[total] / total, total), default=0)


def _command(subject: Subject, options: VerifyOptions, shard: Shard) -> str:
    words: Sequence[str] = ["planbalance", "verify", subject.root]
    given = [("--plan", options.plan), ("--volume-pattern", options.volume_pattern)]
    more = [word for name, value in given if value is not None for word in (name, value)]
    flags = [("--quick", options.quick), ("--near-duplicates", options.near_duplicates)]
    return shlex.join([*words, *more, *(name for name, value in flags if value), "--shard", str(shard)])
