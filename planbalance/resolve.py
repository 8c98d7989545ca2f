"""Turn requests into options: read the files that they name, and refuse options that contradict each other.

A request is an object of `planbalance.options`; the result are the options of `planner`, `engine` or `audit`.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from planbalance import read_groups
from planbalance.errors import InputError, UsageError
from planbalance.group_sources import IDENTICAL
from planbalance.model import SPLITS, Layout, PlanHeader, Progress, Split
from planbalance.options.declare import shared, spelled
from planbalance.planfile import id_prefixes
from planbalance.planstore import PlanFile
from planbalance.read_groups import read_input
from planbalance.text import enumerated

if TYPE_CHECKING:
    from planbalance.audit import VerifyOptions
    from planbalance.engine import ApplyOptions
    from planbalance.grouping import GroupMap
    from planbalance.inputs import FoundInput
    from planbalance.options.apply import ApplyRequest
    from planbalance.options.audit import VerifyRequest
    from planbalance.options.cluster import ClusterChoices
    from planbalance.options.plan import PlanRequest, RepairRequest, ScanRequest
    from planbalance.options.reading import Reading
    from planbalance.planner import PlanOptions
    from planbalance.shards import Shard
    from planbalance.slicemap import VolumeSource

_LARGEST: Final = 2**63 - 1


# ---- plan -----------------------------------------------------------------------------------------------------------


def plan_options(
    request: "PlanRequest",
    output: str,
    found: "Callable[[], Sequence[FoundInput]]",
    progress: Progress | None,
    columns: Sequence[str] = (),
) -> "PlanOptions":
    """Return the planner's options for a request.

    `found` returns the inputs; `columns` are columns of the group map to read beside those of `stratify`.

    Raises:
        UsageError: options contradict each other, or a value is refused. InputError: a file is not found or refused.
        PlanError: the plan to extend is refused.
    """
    from planbalance import planner
    from planbalance.options.plan import DEFAULT_SEED, PlanChoices

    classes = positive_classes(request, found)
    check_counts({"--gap": request.gap}, least=0)
    check_counts({"--jobs": request.jobs}, least=1)
    _check_proof(request)
    stratify = tuple(request.stratify)
    if stratify and request.group_map is None:
        raise UsageError(
            "--stratify names columns of the group map: give --group-map too.", kind="stratify-without-map"
        )
    if request.group_column != "group" and request.group_map is None:
        raise UsageError(
            f"--group-column {request.group_column} names a column of the group map: give --group-map FILE too.",
            kind="column-without-map",
        )
    sources = read_groups.asked_sources(request)
    check_counts({spelled(name): getattr(request, name) for name in ("seed", "split_seed", "sample_seed")}, least=0)
    seeds = {
        name: request.seed if own is None else own
        for name, own in (("split_seed", request.split_seed), ("sample_seed", request.sample_seed))
    }
    given: dict[str, Any] = {**seeds, "positive_classes": classes}
    given |= {"volume_pattern": request.volume_pattern, "shared_ids": request.shared_ids}
    given = {name: value for name, value in given.items() if value is not None}
    ratios = {f"{split}_ratio": _text_or_none(getattr(request, f"{split}_ratio")) for split in SPLITS}
    if request.extend is None:
        decided = {"split_seed": DEFAULT_SEED, "sample_seed": DEFAULT_SEED} | given
        decided |= dict(zip(ratios, planner.parse_ratios(*ratios.values()), strict=True))
    else:
        exact = {name: planner.parse_decimal(text, spelled(name)) for name, text in ratios.items() if text is not None}
        given = exact | given
        decided = given | _of_older_plan(request, request.extend, given)
    source = volume_source(request, request.jobs, progress)
    refuse_two_readings(source, request)
    unchanged = shared(request, PlanChoices)
    unchanged["hash_images"] = request.hash_images or IDENTICAL in sources
    unchanged["negatives_per_positive"] = planner.parse_negatives(_text(request.negatives_per_positive))
    return planner.PlanOptions(
        output=output,
        **unchanged,
        **decided,
        volume_source=source,
        group_map=group_map(request, (*stratify, *columns)),
        split_map=_split_map(request.split_map),
        always_keep=() if request.always_keep is None else _lines(request.always_keep, "list of slices to keep"),
        stratify=stratify,
        keep_split=_splits(request.keep_split),
        exclude=tuple(word for one in request.exclude for word in _file_or_glob(one)),
    )


def _check_proof(request: "PlanRequest") -> None:
    """Refuse a proof that cannot be made, before anything is read."""
    check_counts({"--prove": request.prove}, least=1)
    if request.prove is None:
        if request.prove_split:
            raise UsageError(
                "--prove-split takes the split that a proof finds: give --prove SECONDS too.", kind="prove-nothing"
            )
        return
    if request.split_method == "random":
        raise UsageError(
            "--prove and --split-method random exclude each other: a random split does not aim at anything.",
            kind="prove-nothing",
            hint="Leave one of them out.",
        )
    from planbalance.split.proof_model import require

    require()


def repair_options(
    request: "RepairRequest", output: str, found: "Callable[[], Sequence[FoundInput]]", progress: Progress | None
) -> "PlanOptions":
    """Return the planner's options for a repair; `found` returns the inputs.

    Raises:
        UsageError: options contradict each other, or a value is refused. InputError: a file is not found or refused.
    """
    from decimal import Decimal

    from planbalance import planner

    check_counts({"--jobs": request.jobs}, least=1)
    sources = read_groups.asked_sources(request)
    source = volume_source(request, request.jobs, progress)
    refuse_two_readings(source, request)
    return planner.PlanOptions(
        output=output,
        train_ratio=Decimal(1),  # groups are not divided by ratios
        val_ratio=Decimal(0),
        test_ratio=Decimal(0),
        negatives_per_positive=None,
        positive_classes=positive_classes(request, found),
        volume_pattern=request.volume_pattern or "auto",
        volume_source=source,
        group_map=group_map(request),
        missing_label=request.missing_label,
        invalid_label=request.invalid_label,
        hash_images=request.hash_images or IDENTICAL in sources,
        exclude=tuple(word for one in request.exclude for word in _file_or_glob(one)),
    )


def kept_splits(request: "RepairRequest") -> tuple[Split, ...] | None:
    """Return the splits that a repair leaves as they are, in the order train, val, test; None: the caller named none.

    Raises:
        UsageError: a word is no split, or `none` beside a split.
    """
    if tuple(request.keep) == ("none",):
        return ()
    if "none" in request.keep:
        raise UsageError("--keep none does not go with a split to keep.", kind="unknown-split")
    chosen = _splits(request.keep, "--keep")
    return tuple(split for split in SPLITS if split in chosen) or None


def _of_older_plan(request: "PlanRequest", path: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `extend` takes from the older plan; options in `given` must have the same values."""
    from planbalance.planner import options_from_plan

    older = PlanFile.open(path)
    older.check()
    inherited = options_from_plan(older.header)
    _refuse_other_source(older.header, request)
    others = [name for name, value in given.items() if value != inherited.get(name, value)]
    unprefixed = any(source.prefix for source in older.header.sources) and not any(id_prefixes(older.header))
    if unprefixed and given.get("shared_ids") == "different" and "shared_ids" not in others:
        others.append("shared_ids")
    if others:
        raise _differs_from_older(request, others, given, inherited, older.path)
    return inherited | {"extend": older}


def _differs_from_older(
    request: "PlanRequest", others: Sequence[str], given: Mapping[str, Any], inherited: Mapping[str, Any], path: str
) -> UsageError:
    """Return the refusal of options that have other values than the plan to extend: which to leave out."""
    said: dict[str, str] = {}
    for name in others:
        by_seed = name in {"split_seed", "sample_seed"} and getattr(request, name) is None
        flag = "--positive-class" if name == "positive_classes" else spelled("seed" if by_seed else name)
        said.setdefault(f"{flag} {_typed(given[name])}", _typed(inherited.get(name)))
    options = enumerated([f"{flag} ({value} there)" for flag, value in said.items()])
    return UsageError(
        f"--extend takes what decides a split from the older plan: leave out {options}.",
        kind="extend-differs",
        hint="What decides volumes, positive classes, ratios and seeds stays as it was.",
        paths=[path],
    )


def _typed(value: object) -> str:
    """Return a value of an option as it is typed; `none` where it is not given."""
    if isinstance(value, frozenset):
        return ",".join(map(str, sorted(value)))
    return "none" if value is None else str(value)


def _refuse_other_source(older: PlanHeader, request: "Reading") -> None:
    """Refuse to extend a plan whose volumes come from a slice map without one, or another plan with one."""
    rule = older.naming.get("rule")
    if rule == "slice-map" and request.slice_map is None:
        raise UsageError(
            "The older plan has its volumes from a slice map, and a plan does not hold the map.",
            kind="extend-needs-map",
            hint="Give --slice-map again, with rows for the new images too.",
        )
    if rule == "dicom" and request.volume_from is None:
        raise UsageError(
            "The older plan has its volumes from DICOM headers.",
            kind="extend-needs-map",
            hint="Give --volume-from dicom:SeriesInstanceUID again, with the same --group-key.",
        )
    for name, own in (("slice_map", "slice-map"), ("volume_from", "dicom")):
        if getattr(request, name) is not None and rule != own:
            raise UsageError(
                f"--extend takes volumes as the older plan did, by the rule {rule}, and not as {spelled(name)} says.",
                kind="extend-differs",
                hint=f"Leave {spelled(name)} out.",
            )


# ---- how names are read ---------------------------------------------------------------------------------------------


def volume_source(request: "Reading", jobs: int | None, progress: Progress | None) -> "VolumeSource | None":
    """Return the slice map or the DICOM headers that give the volumes; None where file names give them.

    Raises:
        UsageError: options contradict each other. InputError: the map is not found, or no slice map.
    """
    if request.slice_map is None and request.slice_map_columns is not None:
        raise UsageError("--slice-map-columns is for --slice-map.", kind="slice-map-columns")
    given = [name for name in ("slice_map", "volume_from", "volume_pattern") if getattr(request, name) is not None]
    if len(given) > 1:
        raise UsageError(
            f"{' and '.join(map(spelled, given))} exclude each other: both say which image is of which volume.",
            kind="two-readings",
            hint="Leave one of them out.",
        )
    if request.volume_from is not None:
        from planbalance.dicom import Headers, SeriesSource, group_key

        headers = Headers(jobs=jobs, progress=progress)
        return SeriesSource(group_key(request.group_key or read_groups.default_group_key()), headers)
    if request.slice_map is None:
        return None
    from planbalance.slicemap import parse_columns, parse_slice_map

    chosen = None if request.slice_map_columns is None else parse_columns(request.slice_map_columns)
    return parse_slice_map(read_input(request.slice_map, "slice map"), columns=chosen, name=request.slice_map)


def group_map(request: "Reading", columns: Sequence[str] = ()) -> "GroupMap | None":
    """Read the group map that a request names, if it names one; `columns` are further ones to read.

    Raises:
        InputError: not found, or not a map.
    """
    if request.group_map is None:
        return None
    from planbalance.grouping import csv_text, parse_group_map

    path = request.group_map
    text = csv_text(read_input(path, "group map"), path)
    return parse_group_map(
        text, volume_column=request.volume_column, group_column=request.group_column, columns=columns, name=path
    )


def refuse_two_readings(source: "VolumeSource | None", request: "Reading") -> None:
    """Refuse options that a source of volumes contradicts."""
    read_groups.refuse_two_patients(source, request)
    if source is not None and getattr(request, "shared_ids", None) == "different":
        raise UsageError(
            "--shared-ids different is for ids that names tell: one that a slice map or a header gives is one volume "
            "in all inputs.",
            kind="two-readings",
            hint="Leave --shared-ids out.",
        )


def positive_classes(request: "ScanRequest", found: "Callable[[], Sequence[FoundInput]]") -> frozenset[int] | None:
    """Return class ids; the class names of the inputs are read only where a class is given as a text."""
    from planbalance.planner import parse_classes

    given = request.positive_classes
    words = [given] if isinstance(given, str) else list(given)
    names = None
    if any(isinstance(word, str) for word in words):
        from planbalance.inputs import common_names

        names = common_names(one.input for one in found())
    ids = frozenset(parse_classes(words, names))
    check_counts({"--positive-class": min(ids, default=0)}, least=0)
    return ids or None


# ---- apply and verify -----------------------------------------------------------------------------------------------


def apply_options(request: "ApplyRequest") -> "ApplyOptions":
    """Return how a plan is executed.

    Raises:
        UsageError: a value is refused, or does not go with mode list.
    """
    from planbalance.engine import ApplyOptions
    from planbalance.options.apply import ApplyChoices

    check_counts({"--jobs": request.jobs}, least=1)
    part = shard_of(request)
    refuse_what_lists_decide(request)
    chosen = shared(request, ApplyChoices)
    chosen |= {"labels": request.labels or "copy", "map_input": tuple(request.map_input)}
    return ApplyOptions(**chosen, shard=part, finish=request.finish)


def refuse_what_lists_decide(request: "ApplyRequest", layout: Layout | None = None) -> None:
    """Refuse options that mode list does not have; `layout` is that of a plan that is made in the same command."""
    if request.mode != "list":
        return
    for option, given in (("--labels", request.labels), ("--layout by-volume", layout == "by-volume")):
        if given:
            raise UsageError(
                f"{option} does not go with --mode list: nothing is placed, trainers find labels by their rule.",
                kind="list",
                hint="Leave it out, or use --mode symlink.",
            )


def refuse_given(request: object, names: Iterable[str], reason: str, hint: str = "") -> None:
    """Refuse a request that sets one of these options, which its command does not have."""
    from dataclasses import fields

    default = {each.name: each.default for each in fields(request)}  # type: ignore[arg-type]
    for name in names:
        if getattr(request, name) != default[name]:
            raise UsageError(f"{spelled(name)} {reason}.", kind="usage", hint=hint)


def verify_options(request: "VerifyRequest", progress: Progress | None) -> "VerifyOptions":
    """Return the audit's options for a request; its maps are read.

    Raises:
        UsageError: options contradict each other. InputError: a map is not found or refused.
    """
    from planbalance.audit import VerifyOptions
    from planbalance.options.audit import VerifyChoices

    check_counts({"--jobs": request.jobs}, least=1)
    if request.quick and request.near_duplicates:
        raise UsageError(
            "--near-duplicates reads all images, --quick none: give one of them.", kind="options-contradict"
        )
    source = volume_source(request, request.jobs, progress)
    refuse_two_readings(source, request)
    if source is not None:
        _refuse_shards(request, "--slice-map" if request.slice_map is not None else "--volume-from")
    groups = group_map(request)
    _refuse_shards(request)
    chosen = shared(request, VerifyChoices) | {"against": tuple(request.against)}
    return VerifyOptions(**chosen, group_map=groups, volume_pattern=request.volume_pattern, volume_source=source)


def _refuse_shards(request: "ClusterChoices", *others: str) -> None:
    """Refuse several ways of dividing an audit, and any way together with one of the options `others`."""
    ways = {
        "--shard": request.shard is not None,
        "--finish": request.finish,
        "--executor dask": request.executor == "dask",
    }
    names = [*others, *(name for name, wanted in ways.items() if wanted)]
    if len(names) > 1:
        raise UsageError(f"{' and '.join(names)} exclude each other.", kind="shard")


def shard_of(request: "ClusterChoices") -> "Shard | None":
    """Return the part of the work that a request asks for."""
    from planbalance.shards import parse_shard, shard_of_array

    text = request.shard
    if not isinstance(text, str):
        return text
    if text == "auto":
        return shard_of_array(os.environ)
    try:
        return parse_shard(text)
    except ValueError:
        raise UsageError(
            f"--shard {text}: give I/N with I from 1 to N, or auto in a Slurm array.", kind="shard"
        ) from None


def refuse_scheduler(request: "ClusterChoices") -> None:
    """Refuse the address of a Dask scheduler where Dask does not run the work."""
    if request.scheduler is not None:
        raise UsageError("--scheduler is for --executor dask.", kind="executor")


# ---- values ---------------------------------------------------------------------------------------------------------


def check_counts(values: Mapping[str, int | None], *, least: int) -> None:
    """Refuse whole numbers, by the option that gives them, below `least` or too large for a plan."""
    for option, value in values.items():
        if value is not None and not least <= value <= _LARGEST:
            raise UsageError(f"{option} is {value}: give a whole number from {least} up.", kind="number-out-of-range")


def _splits(names: Sequence[str], option: str = "--keep-split") -> tuple[Split, ...]:
    unknown = [name for name in names if name not in SPLITS]
    if unknown:
        raise UsageError(f"{option} {unknown[0]}: a split is one of {', '.join(SPLITS)}.", kind="unknown-split")
    return tuple(split for name in dict.fromkeys(names) for split in SPLITS if split == name)


def _text_or_none(number: object) -> str | None:
    return None if number is None else _text(number)


def _text(number: object) -> str:
    """Return the decimal that a person would write: 0.1 is 0.1, not the binary number nearest to it."""
    if not isinstance(number, float):
        return str(number)
    from decimal import Decimal

    return format(Decimal(repr(number)), "f")


# ---- files that options name ----------------------------------------------------------------------------------------


def _split_map(path: str | None) -> Mapping[str, Split] | None:
    if path is None:
        return None
    from planbalance.grouping import csv_text, parse_split_map

    return parse_split_map(csv_text(read_input(path, "split map"), path), name=path)


def _file_or_glob(text: str) -> tuple[str, ...]:
    return _lines(text, "list to exclude") if os.path.isfile(text) else (text,)


def _lines(path: str, what: str) -> tuple[str, ...]:
    try:
        text = read_input(path, what).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"The {what} {path} is not UTF-8 text.", kind="bad-list", paths=[path]) from error
    return tuple(line.strip() for line in text.splitlines() if line.strip())
