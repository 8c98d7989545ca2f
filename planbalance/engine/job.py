"""What one run of apply is to do: its options, checked and resolved against the plan."""

import os.path
import shlex
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Literal, NamedTuple

import orjson

from planbalance import dataset_files, fs
from planbalance.engine.block_stats import PlanStats
from planbalance.engine.build_kind import BuildKind, DatasetKind
from planbalance.engine.packing import BlockColumns, Packing, ShardPlace, packed_folders, shard_place
from planbalance.errors import UsageError
from planbalance.import_model import ImportHeader
from planbalance.lock_owner import Node, this_node
from planbalance.model import PlanHeader
from planbalance.modes import MODE_TABLE, Mode
from planbalance.options.apply import ApplyChoices
from planbalance.options.cluster import ShardChoices
from planbalance.options.declare import spelled
from planbalance.path_relation import is_within
from planbalance.planstore import ImportPlan, PlanFile
from planbalance.shards import Shard, Stretch, cut, whole_blocks
from planbalance.text import text_fault

# The options that the first run pins in the staging header; a later run must have the same.
PINNED: Final = ("mode", "labels", "checksum", "fallback", "durability", "mount_at")
# About 0.5 KB each: 300 MB at most, in each process that has parsed so many.
_KEPT_OPERATIONS: Final = 600_000


@dataclass(frozen=True, kw_only=True)
class ApplyOptions(ShardChoices, ApplyChoices):
    """How a plan is executed: the options that `options.apply` declares, parsed.

    Attributes:
        labels: `copy` writes the bytes that were checked; `same` places them as the images.
        shard: build this part only, and publish nothing.
    """

    labels: Literal["copy", "same"] = "copy"
    shard: Shard | None = None


class CachedPlan:
    """A plan, or a stretch of it, whose blocks are parsed once and kept; if it is too large for that, the last ones.

    Its operations are of the plan's kind: `Operation`, or `ImportOperation`.

    Several threads may read. A worker process has one of its own. The blocks of a stretch are counted from its first
    one, and have only the slices that belong to it.
    """

    def __init__(self, plan: PlanFile | ImportPlan, stretch: Stretch | None = None) -> None:
        self.header: PlanHeader | ImportHeader = plan.header
        self._before = 0 if stretch is None else stretch.first  # slices of the first block that are not read
        if stretch is not None:
            self.header = plan.header._replace(blocks=stretch.of(plan.header.blocks))
            plan = plan.stretch(stretch.blocks)
        self._plan = plan
        self.path: str = plan.path
        self._kept: dict[int, list[Any]] = {}
        self._room = _KEPT_OPERATIONS
        self._lock = threading.Lock()
        self._read_elsewhere = False

    def all_was_read(self) -> None:
        """Note that every block was read and checked as a whole, here or in another process of this run.

        From now on the checksum of a block that is not kept is enough, and only the part that is asked for is parsed.
        """
        self._read_elsewhere = True

    def read_part(self, index: int, start: int, stop: int) -> list[Any]:
        """Return the operations `start` to `stop` (not included) of one block. Raises PlanError."""
        few = 2 * (stop - start) <= self.header.blocks[index].count
        if self._read_elsewhere and few and index not in self._kept:
            before = 0 if index else self._before
            return self._plan.read_part(index, start + before, stop + before)
        return self.read_block(index)[start:stop]

    def read_block(self, index: int) -> list[Any]:
        """Return one block's operations; callers must not change the list. Raises PlanError."""
        with self._lock:  # a second thread waits, and then finds the block parsed
            kept = self._kept.get(index)
            if kept is None:
                kept = self._plan.read_block(index)
                before, count = 0 if index else self._before, self.header.blocks[index].count
                if len(kept) > count:
                    kept = kept[before : before + count]
                self._kept[index] = kept
                self._room -= len(kept)
                while self._room < 0 and len(self._kept) > 1:
                    self._room += len(self._kept.pop(next(iter(self._kept))))
            return kept

    def operations(self) -> Iterator[Any]:
        """Yield every operation, in the order of the plan. Raises PlanError."""
        for index in range(len(self.header.blocks)):
            yield from self.read_block(index)

    def check(self, facts: Iterable[tuple[int, Any]]) -> None:
        """Check what only all blocks together show. Raises PlanError."""
        self._plan.check(facts)

    def parts(self) -> Iterator[bytes]:
        """Yield the bytes of the plan file. Raises PlanError."""
        return self._plan.parts()


class Job(NamedTuple):
    """One apply, resolved.

    Attributes:
        plan: what to execute.
        options: how.
        output: absolute; where the dataset appears.
        staging: absolute; where it is built.
        roots: the inputs' roots, mapped.
        kind: what is particular to the plan's kind.
        stats: what is known of the plan's blocks.
        node: the machine and boot that this run is on.
        packing: the one file that the dataset becomes; None where it is a folder.
    """

    plan: CachedPlan
    options: ApplyOptions
    output: str
    staging: str
    roots: tuple[str, ...]
    kind: BuildKind[Any]
    stats: PlanStats
    node: Node
    packing: Packing | None = None

    @property
    def mapped(self) -> bool:
        """Whether the inputs are in another place than planned: modification times say nothing there."""
        return bool(self.options.map_input)

    @property
    def slices(self) -> int:
        """How many operations the plan has."""
        return sum(block.count for block in self.plan.header.blocks)

    @property
    def renders_first(self) -> bool:
        """Whether slices are rendered before anybody knows where each goes in the one file."""
        return self.packing is not None and self.packing.estimated

    def cut(self, count: int) -> list[Stretch]:
        """Return what each of `count` shards of the whole plan builds. Raises PlanError."""
        if self.packing is not None and not self.renders_first:
            return self.packing.cut(count)
        blocks = self.plan.header.blocks
        return [whole_blocks(blocks, run) for run in cut(blocks, count)]


MakeKind = Callable[[PlanHeader | ImportHeader, Sequence[str], Mode], BuildKind[Any]]


def make_job(
    plan: PlanFile | ImportPlan,
    options: ApplyOptions,
    kind: MakeKind = DatasetKind,
) -> Job:
    """Resolve the options against a plan of a kind. Raises UsageError; PlanError where a shard cannot read the plan."""
    _refuse_options(options)
    # absolute, since receipt and header of the build keep them
    pairs = tuple((os.path.abspath(old), os.path.abspath(new)) for old, new in options.map_input)
    options = replace(options, map_input=pairs)
    traits = MODE_TABLE[options.mode]
    output = (
        os.path.abspath(options.output) if options.output is not None else planned_output(plan.header, options.mode)
    )
    if output == "/":
        raise UsageError("The output cannot be the root folder", kind="output-refused", hint="name a new folder")
    roots = _mapped_roots(plan.header.inputs, options.map_input)
    place = None
    if traits.one_file and options.shard is not None:
        place = _shard_place(plan, kind(plan.header, roots, options.mode), options)
    cached = CachedPlan(plan, _stretch(plan, place, options))
    of_kind = kind(cached.header, roots, options.mode)
    stats = PlanStats(len(cached.header.blocks), cached.read_block, of_kind.stats_maker)
    packing = _packing(plan, place, cached, of_kind, stats, options) if traits.one_file else None
    return Job(cached, options, output, fs.partial_path(output), roots, of_kind, stats, this_node(), packing)


def planned_output(header: PlanHeader | ImportHeader, mode: Mode) -> str:
    """Return where a plan is built where no other place is given: a file gets the suffix of its mode."""
    suffix = MODE_TABLE[mode].one_file
    return header.output if header.output.endswith(suffix) else header.output + suffix


def _stretch(plan: PlanFile | ImportPlan, place: ShardPlace | None, options: ApplyOptions) -> Stretch | None:
    """Return what a shard builds, None where that is the whole plan; `place`: what it fills of one file."""
    if place is not None:
        return place.stretch
    if options.shard is None:
        return None
    blocks = plan.header.blocks
    return whole_blocks(blocks, cut(blocks, options.shard.total)[options.shard.number - 1])


def _shard_place(plan: PlanFile | ImportPlan, kind: BuildKind[Any], options: ApplyOptions) -> ShardPlace | None:
    """Return what a shard fills of one file; None where it only renders, and nobody knows yet what goes where.

    It reads the blocks before its own for their sizes. Raises PlanError.
    """
    assert options.shard is not None
    if kind.renders:
        return None

    def columns(index: int) -> BlockColumns:
        operations: list[Any] = plan.read_block(index)
        return kind.columns(operations)

    blocks = plan.header.blocks
    folders = packed_folders(blocks, _document_folders(kind))
    return shard_place(options.mode, blocks, columns, options.shard, folders)


def _document_folders(kind: BuildKind[Any]) -> list[str]:
    """Return the folders of documents."""
    folders = dict.fromkeys(path.rpartition("/")[0] for path in kind.summed)
    return [*(folder for folder in folders if folder), dataset_files.OWN_FOLDER]


def _packing(
    plan: PlanFile | ImportPlan,
    place: ShardPlace | None,
    cached: CachedPlan,
    kind: BuildKind[Any],
    stats: PlanStats,
    options: ApplyOptions,
) -> Packing:
    """Return the one file of a build; a shard only asks where its own slices go."""
    header = plan.header

    def documents() -> dict[str, bytes]:
        found = {each.path: b"".join(each.chunks) for each in kind.documents(stats, options.mount_at, options.mode)}
        return {
            **found,
            dataset_files.PLAN: b"".join(cached.parts()),
            dataset_files.RECEIPT: _packed_receipt(header.digest, options),
        }

    return Packing(
        options.mode,
        header.blocks,
        stats.columns,
        documents,
        folders=packed_folders(header.blocks, _document_folders(kind)),
        summed=kind.summed if options.checksum == "sha256" else None,
        shard=place,
        estimated=kind.renders,
    )


def _packed_receipt(digest: str, options: ApplyOptions) -> bytes:
    """Return the receipt of a packed dataset: without what changes nothing in it, such as where it was built."""
    document = {
        "schema": dataset_files.RECEIPT_SCHEMA,
        "digest": digest,
        "mode": options.mode,
        "checksum": options.checksum,
        "tool": "planbalance",
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n"


def receipt(digest: str, options: ApplyOptions, output: str, mode: Mode) -> bytes:
    """Return `.planbalance/receipt.json`: how a dataset was built. `mode`: as really used."""
    document = {
        "schema": dataset_files.RECEIPT_SCHEMA,
        "digest": digest,
        "mode": mode,
        "labels": options.labels,
        "checksum": options.checksum,
        "fallback": options.fallback,
        "durability": options.durability,
        "output": output,
        "map_input": [list(pair) for pair in options.map_input],
        "tool": "planbalance",
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n"


def _refuse_options(options: ApplyOptions) -> None:
    if options.mode not in MODE_TABLE:
        raise UsageError(
            f"--mode {options.mode} is not available in this version",
            kind="mode-not-available",
            hint="symlink copies no image either, and keeps trainers' caches out of the source",
        )
    part = "--finish" if options.finish else f"--shard {options.shard}" if options.shard is not None else ""
    if options.finish and options.shard is not None:
        raise UsageError("--shard and --finish exclude each other", kind="shard", hint="finish after all shards")
    if part and options.restart:
        raise UsageError(
            f"{part} does not go with --restart, which would remove what other shards have built",
            kind="shard",
            hint="`planbalance clean` removes a partial build that nobody works on",
        )
    if part and not MODE_TABLE[options.mode].places_files:
        raise UsageError(
            f"{part} does not go with --mode {options.mode}: it places no files that shards could divide", kind="list"
        )
    if options.finish and options.dry_run:
        raise UsageError("--finish does not go with --dry-run", kind="shard", hint="--finish says what is missing")
    if options.mount_at is not None:
        _refuse_mount_at(options)
    if options.jobs is not None and options.jobs < 1:
        raise UsageError(
            f"--jobs {options.jobs} is not a number of workers", kind="jobs", hint="give 1 or more, or auto"
        )


def _refuse_mount_at(options: ApplyOptions) -> None:
    if not MODE_TABLE[options.mode].one_file:
        raise UsageError(
            f"--mount-at does not go with --mode {options.mode}: only a dataset in one file is mounted or unpacked",
            kind="mount-at",
            hint="dataset.yaml of a folder names the output; `planbalance relocate` sets it right after a move",
        )
    if not os.path.isabs(options.mount_at or "") or text_fault(options.mount_at or ""):
        raise UsageError(
            f"--mount-at {options.mount_at} is not an absolute path",
            kind="mount-at",
            hint="give the folder where the dataset will be mounted or unpacked, such as /data",
        )


def _mapped_roots(roots: tuple[str, ...], pairs: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    mapped = list(roots)
    for old, new in sorted(pairs, key=lambda pair: len(pair[0])):  # the longest one that holds the root counts
        hits = [i for i, root in enumerate(roots) if is_within(root, old)]
        if not hits:
            raise UsageError(
                f"--map-input {old}={new}: no input of the plan lies at or below {old}",
                kind="map-input",
                hint=f"the plan's inputs are {', '.join(roots)}",
            )
        for i in hits:
            mapped[i] = new + roots[i][len(old.rstrip("/")) :]
    return tuple(mapped)


def takes_sums(job: Job, mode: Mode) -> bool:
    """Return whether images are summed for the manifest."""
    return MODE_TABLE[mode].copies_images and job.options.checksum == "sha256"


def command(plan_path: str, options: ApplyOptions) -> str:
    """Return the command line that runs this job (again): only options that differ from their default are named."""
    words = ["planbalance", "apply", plan_path or "plan.json"]
    for field in fields(options):
        value = getattr(options, field.name)
        if value == field.default or field.name in ("dry_run", "restart"):
            continue
        flag = spelled(field.name)
        if field.name == "map_input":
            for old, new in value:
                words += [flag, f"{old}={new}"]
        elif value is True:
            words.append(flag)
        else:
            words += [flag, str(value)]
    return shlex.join(words)
